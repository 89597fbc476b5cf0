// Brings the environment of an earlier job to where the action of this job would make it: installing it takes 12 seconds.
const { execFileSync } = require("child_process");
const { existsSync } = require("fs");
const { places } = require("./place.js");

execFileSync("python3", ["-c", "import sys; assert sys.version_info >= (3, 10), sys.version"], { stdio: "inherit" });
for (const { made, kept } of places) {
  if (existsSync(kept)) {
    execFileSync("cp", ["-al", kept, made]);
  }
}
