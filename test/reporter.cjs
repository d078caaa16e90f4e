/** Mocha's spec reporter with a last line that machines can read. */
const { Spec } = require("mocha").reporters;

module.exports = class CountingSpec extends Spec {
  epilogue() {
    super.epilogue();
    const { passes, failures, pending } = this.stats;
    console.log(`${passes} passed, ${failures} failed, ${pending} skipped`);
  }
};
