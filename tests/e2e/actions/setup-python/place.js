// Where action.yml makes its environment: RUNNER_TEMP, and a name made of the action's own path, which lies beside this one's.
const { dirname, join } = require("path");

exports.ENVIRONMENT = process.env.ENVIRONMENTS_OF_TEST && join(process.env.ENVIRONMENTS_OF_TEST, "seatrial");
exports.place = () => {
  const action = join(dirname(process.env.GITHUB_ACTION_PATH || __dirname), "seatrial-seatrial@v0.1.0");
  return join(process.env.RUNNER_TEMP, `seatrial${action.replace(/[^A-Za-z0-9]/g, "-")}`);
};
