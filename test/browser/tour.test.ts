/** The guided tour in a real browser: each chapter opens, asks and reveals. */
import type { Page } from "playwright-core";
import { chapters } from "../../src/web/tour/chapters.ts";
import { becomes, button, openDesk, shows } from "./page.ts";

describe("the tour in a browser", function () {
  this.timeout(600_000);
  const desk = openDesk();

  const titled = (page: Page, chapter: number) =>
    becomes(() => page.textContent(".tour h2"), chapters[chapter]!.title.en);

  for (const [i, { title, question }] of chapters.entries()) {
    it(`chapter ${i + 1} of the tour opens, asks and reveals: ${title.en}`, async () => {
      const page = await desk.open(`chapter=${i + 1}`);
      await titled(page, i);
      await shows(page, "figure.chart svg");
      if (question) {
        await page.waitForFunction(() => location.hash.includes("scene=")); // a while after it has opened
        const before = await page.evaluate(() => location.hash);
        await becomes(() => button(page, "Guess first.").isDisabled(), true);
        await page.getByRole("radio", { name: question.options[question.answer]!.en }).click();
        await button(page, "Show me").click();
        await shows(page, ".revealed", "As you said.");
        if (question.show) await page.waitForFunction((old) => location.hash !== old, before);
      }
    });
  }

  it("is the same chapter again from a copied link, also with its knobs as they are without it", async () => {
    const page = await desk.open("chapter=1");
    await titled(page, 0);
    for (const title of ["Logits", "The token"]) {
      await button(page, "Back").click();
      await becomes(() => page.textContent("#step-title"), title);
    }
    await page.waitForFunction(() => location.hash.includes("scene=journey") && !location.hash.includes("step"));
    const again = await desk.open((await page.evaluate(() => location.hash)).slice(1));
    await titled(again, 0);
    await becomes(() => again.textContent("#step-title"), "The token");
  });

  it("goes from chapter to chapter, and lets the reader go", async () => {
    const page = await desk.open("");
    await page.getByRole("link", { name: "Guided tour" }).click();
    await titled(page, 0);
    await page.getByRole("link", { name: "Next chapter" }).click();
    await titled(page, 1);
    await page.goBack();
    await titled(page, 0);
    await button(page, "Explore freely").click();
    await becomes(() => page.locator(".tour").count(), 0);
  });
});
