// Where our actions make their environments: RUNNER_TEMP, and a name made of the repository's path. act keeps the repository
// once for each action in it, beside this one's.
const { dirname, join } = require("path");

const { ENVIRONMENTS_OF_TEST, GITHUB_ACTION_PATH, RUNNER_TEMP } = process.env;
const beside = dirname(GITHUB_ACTION_PATH || __dirname);
const made = (name, action) =>
  join(RUNNER_TEMP, `${name}${join(beside, `${action}@v0.1.0`).replace(/[^A-Za-z0-9]/g, "-")}`);

// Each with where it is kept.
exports.places = [
  ["seatrial", "seatrial-seatrial"],
  ["seatrial-deploy", "seatrial-seatrial-deploy"],
  ["seatrial-deploy", "seatrial-seatrial-rollback"],
]
  .filter(() => ENVIRONMENTS_OF_TEST)
  .map(([name, action]) => ({ made: made(name, action), kept: join(ENVIRONMENTS_OF_TEST, name) }));
