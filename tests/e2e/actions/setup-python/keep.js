// Keeps the environment that the action of this job made, and compiled by using it, for the jobs that follow.
const { execFileSync } = require("child_process");
const { existsSync } = require("fs");
const { ENVIRONMENT, place } = require("./place.js");

if (ENVIRONMENT && existsSync(place()) && !existsSync(ENVIRONMENT)) {
  execFileSync("cp", ["-al", place(), ENVIRONMENT]);
}
