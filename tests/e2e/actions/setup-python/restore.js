// Brings the environment of an earlier job to where the action of this job would make it: installing it takes 12 seconds.
const { execFileSync } = require("child_process");
const { existsSync } = require("fs");
const { ENVIRONMENT, place } = require("./place.js");

execFileSync("python3", ["-c", "import sys; assert sys.version_info >= (3, 10), sys.version"], { stdio: "inherit" });
if (ENVIRONMENT && existsSync(ENVIRONMENT)) {
  execFileSync("cp", ["-al", ENVIRONMENT, place()]);
}
