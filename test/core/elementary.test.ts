import { expect } from "chai";
import { cosineOfTurns, exp, integerPower, log, sigmoid, softplus } from "../../src/core/elementary.ts";
import { randomStream } from "../../src/core/random.ts";

const float = new Float64Array(1);
const bits = new BigInt64Array(float.buffer);

/** Units in the last place between two numbers of one sign. */
function ulps(a: number, b: number): number {
  float[0] = a;
  const first = bits[0]!;
  float[0] = b;
  return Math.abs(Number(first - bits[0]!));
}

/** The largest distance between two functions on [from, to]. */
function worst(ours: (x: number) => number, host: (x: number) => number, from: number, to: number): number {
  const random = randomStream(1, "elementary", from, to);
  let largest = 0;
  for (let i = 0; i < 50_000; i++) {
    const x = from + (to - from) * random.uniform();
    largest = Math.max(largest, ulps(ours(x), host(x)));
  }
  return largest;
}

describe("elementary functions", () => {
  // The host's own functions are within one unit of the truth, so two units apart leave ours about one.
  const ranges: [string, (x: number) => number, (x: number) => number, [number, number][], number][] = [
    [
      "exp",
      exp,
      Math.exp,
      [
        [-1, 1],
        [-30, 30],
        [-708, 709.7],
        [-745.1, -708],
      ],
      2,
    ],
    [
      "log",
      log,
      Math.log,
      [
        [0.5, 2],
        [0, 1000],
        [0, 1e300],
        [1e-320, 1e-308],
      ],
      2,
    ],
    [
      "softplus",
      softplus,
      (x) => Math.log1p(Math.exp(x)),
      [
        [-5, 20],
        [-40, -5],
        [-700, -40],
      ],
      4,
    ],
    [
      "sigmoid",
      sigmoid,
      (x) => 1 / (1 + Math.exp(-x)),
      [
        [-5, 5],
        [-40, 40],
        [-700, -40],
      ],
      4,
    ],
  ];
  for (const [name, ours, host, intervals, tolerance] of ranges) {
    for (const [from, to] of intervals) {
      it(`${name} is within ${tolerance} units in the last place of Math on [${from}, ${to}]`, () => {
        expect(worst(ours, host, from, to)).to.be.at.most(tolerance);
      });
    }
  }

  it("exp is exact where the result is", () => {
    expect(exp(0)).to.equal(1);
    expect(exp(-0)).to.equal(1);
    expect(ulps(exp(1), Math.E)).to.be.at.most(1);
    expect(exp(Number.POSITIVE_INFINITY)).to.equal(Number.POSITIVE_INFINITY);
    expect(exp(710)).to.equal(Number.POSITIVE_INFINITY);
    expect(exp(Number.NEGATIVE_INFINITY)).to.equal(0);
    expect(exp(-746)).to.equal(0);
    expect(exp(Number.NaN)).to.be.NaN;
  });

  it("exp reaches the ends of its range: the largest double and the smallest subnormal", () => {
    expect(exp(709.782712893384) / Math.exp(709.782712893384)).to.be.closeTo(1, 1e-13);
    for (const x of [-744.5, -745, -745.13, -745.1332191019411]) expect(exp(x)).to.equal(Number.MIN_VALUE);
  });

  it("log is exact where the result is", () => {
    expect(log(1)).to.equal(0);
    expect(log(2)).to.equal(Math.LN2);
    expect(log(Number.POSITIVE_INFINITY)).to.equal(Number.POSITIVE_INFINITY);
    expect(log(0)).to.equal(Number.NEGATIVE_INFINITY);
    expect(log(-1)).to.be.NaN;
    expect(log(Number.NaN)).to.be.NaN;
    expect(ulps(log(Number.MIN_VALUE), Math.log(Number.MIN_VALUE))).to.be.at.most(1);
  });

  it("sigmoid and softplus saturate without overflow", () => {
    expect(sigmoid(0)).to.equal(0.5);
    expect(sigmoid(1000)).to.equal(1);
    expect(sigmoid(-1000)).to.equal(0);
    expect(sigmoid(Number.NEGATIVE_INFINITY)).to.equal(0);
    expect(softplus(0)).to.equal(Math.LN2);
    expect(softplus(1e300)).to.equal(1e300);
    expect(softplus(Number.NEGATIVE_INFINITY)).to.equal(0);
    expect(softplus(-100)).to.equal(exp(-100));
  });

  it("cosineOfTurns knows the angles of a clock, and Math.cos in between", () => {
    const known = [
      [0, 1],
      [1 / 12, Math.sqrt(0.75)],
      [1 / 8, Math.SQRT1_2],
      [1 / 6, 0.5],
      [0.25, 0],
      [1 / 3, -0.5],
      [0.5, -1],
      [0.75, 0],
    ];
    for (const [turns, cosine] of known) {
      expect(cosineOfTurns(turns!), `${turns} turns`).to.be.closeTo(cosine!, 3e-16);
      expect(cosineOfTurns(turns! + 7)).to.be.closeTo(cosine!, 6e-15);
      expect(cosineOfTurns(-turns!)).to.be.closeTo(cosine!, 3e-16);
    }
    for (let i = 0; i <= 1000; i++) {
      expect(cosineOfTurns(i / 1000)).to.be.closeTo(Math.cos((2 * Math.PI * i) / 1000), 2e-15); // the host's argument is rounded
    }
  });

  it("integerPower multiplies", () => {
    expect(integerPower(3, 0)).to.equal(1);
    expect(integerPower(3, 13)).to.equal(1594323);
    expect(integerPower(-2, 31)).to.equal(-2147483648);
    expect(integerPower(0.9, 1000)).to.be.closeTo(1.7478712517226947e-46, 1e-58);
  });
});
