/**
 * Group-limited routing of one token in doubles, operation for operation as src/routing/group-limited.ts does it, for
 * the few tokens that single precision cannot decide.
 */
import { softmaxTerms } from "./doubles";
import { Job, VALUES } from "./routing-job";

/** @param row [N] logits @param experts,logits [K] written */
export function routeExactly(job: Job, row: usize, experts: usize, logits: usize, scratch: usize): void {
  const values = scratch + VALUES;
  const sum = softmaxTerms(row, job.width, values);
  for (let at = values; at < values + ((<usize>job.width) << 3); at += 8) store<f64>(at, load<f64>(at) / sum);
  const size = job.width / job.groups;
  let kept: u64 = 0;
  for (let n: i32 = 0; n < job.limit; n++) {
    let best = -1;
    let most: f64 = 0;
    for (let g: i32 = 0; g < job.groups; g++) {
      if ((kept >> g) & 1) continue;
      const score = groupScore(values + ((<usize>(g * size)) << 3), size, job.counted);
      if (best == -1 || score > most) {
        best = g;
        most = score;
      }
    }
    kept |= (<u64>1) << best;
  }
  for (let j: usize = 0; j < (<usize>job.topK) << 2; j += 4) {
    let best = -1;
    let most: f64 = 0;
    for (let g: i32 = 0; g < job.groups; g++) {
      if (!((kept >> g) & 1)) continue;
      for (let e = g * size; e < (g + 1) * size; e++) {
        const value = load<f64>(values + ((<usize>e) << 3));
        if (value < 0) continue; // taken
        if (best == -1 || value > most) {
          best = e;
          most = value;
        }
      }
    }
    store<f64>(values + ((<usize>best) << 3), -1);
    store<i32>(experts + j, best);
    store<f32>(logits + j, load<f32>(row + ((<usize>best) << 2)));
  }
}

/** The sum of the one or two best, the larger first. */
function groupScore(values: usize, size: i32, counted: i32): f64 {
  let first: f64 = -Infinity;
  let second: f64 = -Infinity;
  for (const end = values + ((<usize>size) << 3); values < end; values += 8) {
    const value = load<f64>(values);
    if (value > first) {
      second = first;
      first = value;
    } else if (value > second) second = value;
  }
  return counted == 2 && size > 1 ? first + second : first;
}
