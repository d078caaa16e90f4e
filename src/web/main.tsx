/** The whole page. */
import { batch } from "./scenes/batch.tsx";
import { journey } from "./scenes/journey.tsx";
import { results } from "./scenes/results.tsx";
import { training } from "./scenes/training.tsx";
import { start } from "./start.tsx";

start([journey, batch, training, results]);
