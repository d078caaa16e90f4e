/** The one generator of seedrandom that is used, without the others and without what they do to a page's size. */
declare module "seedrandom/lib/alea.js" {
  import type { PRNG } from "seedrandom";

  const alea: (seed: string) => PRNG;
  export default alea;
}
