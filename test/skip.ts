/** Skips a test, or in a `before` its whole suite, with a reason that the reporter sums up at the end. */
import type { Context, Runnable, Suite } from "mocha";

export function skipAloud(context: Context, reason: string): never {
  const here = context.test as Runnable & { readonly type: string };
  const skipped: (Runnable | Suite) & { skipReason?: string } = here.type === "hook" ? here.parent! : here;
  skipped.skipReason = reason;
  console.log(`      skipped: ${reason}`);
  return context.skip();
}
