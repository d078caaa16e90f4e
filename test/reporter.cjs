/** Mocha's spec reporter with what was skipped, and why, at the end, and a last line that machines can read. */
const { Spec } = require("mocha").reporters;

/** What skipAloud left at the test or at a suite around it. */
function reasonOf(runnable) {
  if (runnable === undefined) return "no reason given";
  return runnable.skipReason ?? reasonOf(runnable.parent);
}

module.exports = class CountingSpec extends Spec {
  constructor(runner, options) {
    super(runner, options);
    this.skips = new Map();
    runner.on("pending", (test) => {
      const what = `${test.titlePath()[0]}: ${reasonOf(test)}`;
      this.skips.set(what, (this.skips.get(what) ?? 0) + 1);
    });
  }

  epilogue() {
    super.epilogue();
    for (const [what, tests] of this.skips)
      console.log(`skipped, ${tests} ${tests === 1 ? "test" : "tests"} of ${what}`);
    const { passes, failures, pending } = this.stats;
    console.log(`${passes} passed, ${failures} failed, ${pending} skipped`);
  }
};
