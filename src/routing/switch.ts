/** Switch routing: the one best expert of each token. */
import { router, selectTopK, takesExactly } from "./router.ts";

export const switchTop1 = router({
  title: "Switch, the one best expert",
  source: "Fedus et al. 2021, Switch Transformer, arXiv:2101.03961, section 2.1",
  summary: "one expert a token, so a device gets all of a token or nothing; meant to go with a capacity",
  promises: { takesK: true, perToken: true, byScore: true, biased: true, equivariant: true },
  contradiction: (shape) => takesExactly(1, shape),
  select: selectTopK,
});
