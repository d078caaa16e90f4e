/** The page without training: small enough to mail. */
import { batch } from "./scenes/batch.tsx";
import { journey } from "./scenes/journey.tsx";
import { results } from "./scenes/results.tsx";
import { start } from "./start.tsx";

start([journey, batch, results]);
