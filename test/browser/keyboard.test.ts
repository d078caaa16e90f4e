/** The page by keyboard alone: every control of every scene, training, and a file. */
import { join } from "node:path";
import { expect } from "chai";
import type { Page } from "playwright-core";
import { becomes, button, openDesk, shows } from "./page.ts";

/** Numbers everything that a keyboard should reach, and gives their names. Of radio buttons, one a group. */
const controlsOf = (page: Page): Promise<string[]> =>
  page.evaluate(() => {
    const all = document.querySelectorAll<HTMLElement>(
      "a[href], button:enabled, select, input:enabled, summary, [tabindex='0']",
    );
    const reached = [...all].filter((element) => {
      if (!element.checkVisibility({ visibilityProperty: true })) return false;
      return !(element instanceof HTMLInputElement && element.type === "radio") || element.checked;
    });
    reached.forEach((element, i) => {
      element.dataset["control"] = String(i);
    });
    return reached.map((element) => element.outerHTML.slice(0, 120));
  });

/** Number of what has the focus, and whether that is seen, on itself or on what stands for it. */
const focused = (page: Page): Promise<{ readonly control: string | undefined; readonly isSeen: boolean }> =>
  page.evaluate(() => {
    const element = document.activeElement as HTMLElement;
    const outlined = [element, element.nextElementSibling].filter((each) => each !== null);
    return {
      control: element.dataset["control"],
      isSeen: outlined.some((each) => getComputedStyle(each).outlineStyle !== "none"),
    };
  });

describe("the page by keyboard alone", function () {
  this.timeout(600_000);
  const desk = openDesk();

  /** Scenes, and what is there last. */
  const scenes = [
    ["journey", "figure.chart svg"],
    ["batch", "#choices-right svg"],
    ["training", "#bytes-moge svg"],
    ["results", ".drop-zone"],
    ["journey&chapter=1", "figure.chart svg"],
  ] as const;
  for (const [scene, last] of scenes) {
    it(`reaches every control, and shows where it is: ${scene}`, async () => {
      const page = await desk.open(`scene=${scene}&lang=en`);
      await shows(page, last);
      const controls = await controlsOf(page);
      expect(controls.length).to.be.above(8);
      const reached = new Set<string>();
      for (let i = 0; i < controls.length + 3; i++) {
        await page.keyboard.press("Tab");
        const { control, isSeen } = await focused(page);
        if (control === undefined) continue;
        expect(isSeen, `focus on ${controls[Number(control)]}`).to.equal(true);
        reached.add(control);
      }
      expect(controls.filter((_, i) => !reached.has(String(i)))).to.deep.equal([]);
    });
  }

  it("opens the formula of each step, reads it and closes it", async () => {
    const page = await desk.open("lang=en&step=1&router=moge");
    for (const title of ["Logits", "Scores", "Selection", "Dispatch", "Experts", "Combine"]) {
      await becomes(() => page.textContent("#step-title"), title);
      await page.locator(".derivation button").focus();
      await page.keyboard.press("Enter");
      await shows(page, ".popover:popover-open .formula-title", title);
      const [formula, ...numbers] = await page.locator(".popover:popover-open .formula").allTextContents();
      expect(await page.textContent(".derivation button")).to.equal(formula);
      expect(numbers.join()).to.match(/\d/);
      await page.keyboard.press("Escape");
      await becomes(() => page.locator(".popover:popover-open").count(), 0);
      if (title === "Combine") continue;
      await button(page, "Next").focus();
      await page.keyboard.press("Enter");
    }
  });

  it("walks from the opened page to training, and to a file of results", async () => {
    const page = await desk.open("lang=en&steps=1000"); // more than there is time for
    const chooser = page.waitForEvent("filechooser"); // early: the browser must have heard of it when the key is pressed
    const tabTo = async (name: string) => {
      const text = () => page.evaluate(() => document.activeElement!.textContent);
      for (let i = 0; (await text()) !== name; i++) {
        expect(i, `${name} can be reached`).to.be.below(60);
        await page.keyboard.press("Tab");
      }
    };
    await shows(page, "figure.chart svg");
    await tabTo("Training");
    await page.keyboard.press("Enter");
    await shows(page, "h1", "Training");
    await button(page, "Train").and(page.locator(":enabled")).waitFor();
    await tabTo("Train");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => (document.querySelector("progress")?.value ?? 0) >= 2);
    await page.keyboard.press("Shift+Tab");
    await page.keyboard.press("Tab");
    await tabTo("Pause");
    await page.keyboard.press("Enter");
    await button(page, "Train").waitFor();
    await page.getByRole("link", { name: "Results" }).focus();
    await page.keyboard.press("Enter");
    await shows(page, "h1", "Results");
    await page.getByLabel("choose files").focus();
    await page.keyboard.press("Enter");
    await (await chooser).setFiles(join(import.meta.dirname, "../../results/quickstart/steps.csv"));
    await shows(page, "#result svg .line");
  });
});
