/**
 * `npm run golden -- DIR`: checks this project's routing, balancing and metrics against the golden cases of a folder.
 * Exit code 0 if none fails, 4 if one does, 2 if the folder is no good.
 */
import { NoGoldenFiles, runFolder } from "./runner.ts";

const [folder, ...rest] = process.argv.slice(2);
if (folder === undefined || rest.length > 0) {
  console.error("usage: npm run golden -- DIR, a folder of golden *.json files");
  process.exitCode = 2;
} else {
  try {
    const { lines, failed } = runFolder(folder);
    for (const line of lines) console.log(line);
    process.exitCode = failed > 0 ? 4 : 0;
  } catch (error) {
    if (!(error instanceof NoGoldenFiles)) throw error;
    console.error(error.message);
    process.exitCode = 2;
  }
}
