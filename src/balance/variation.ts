/** The squared coefficient of variation as a loss: what importance and load are held equal by. */

/**
 * CV² = unbiased variance / (mean² + 1e-10), 0 of a single number (FastMoE, NoisyGate.cv_squared; Tutel has the same).
 * @param gradient [n] written: the derivative by each value
 */
export function squaredVariation(values: ArrayLike<number>, gradient: Float64Array): number {
  const n = values.length;
  if (n === 1) {
    gradient[0] = 0;
    return 0;
  }
  let mean = 0;
  for (let i = 0; i < n; i++) mean += values[i]! / n;
  let variance = 0;
  for (let i = 0; i < n; i++) variance += ((values[i]! - mean) * (values[i]! - mean)) / (n - 1);
  const divisor = mean * mean + 1e-10;
  for (let i = 0; i < n; i++) {
    const ofVariance = (2 * (values[i]! - mean)) / (n - 1) / divisor;
    gradient[i] = ofVariance - (variance * 2 * mean) / n / (divisor * divisor);
  }
  return variance / divisor;
}
