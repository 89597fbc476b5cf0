"""The embedded model server: runtimes, the Open Inference Protocol, and the switch to what is live."""
