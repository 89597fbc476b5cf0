// Keeps the environment that the action of this job made, and compiled by using it, for the jobs that follow.
const { execFileSync } = require("child_process");
const { existsSync } = require("fs");
const { places } = require("./place.js");

for (const { made, kept } of places) {
  if (existsSync(made) && !existsSync(kept)) {
    execFileSync("cp", ["-al", made, kept]);
  }
}
