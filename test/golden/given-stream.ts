/** A random stream that gives out the numbers that a case was made with. */
import { exp } from "../../src/core/elementary.ts";
import { Random } from "../../src/core/random.ts";

export class GivenStream extends Random {
  private readonly numbers: ArrayLike<number>;
  private next = 0;

  constructor(numbers: ArrayLike<number>) {
    super(1, 1, 1, 1);
    this.numbers = numbers;
  }

  override uniform(): number {
    return this.numbers[this.next++]!;
  }
}

/** The uniform numbers that standard Gumbel numbers come from. */
export const uniformsOfGumbel = (gumbel: Float64Array): Float64Array => gumbel.map((g) => exp(-exp(-g)));
