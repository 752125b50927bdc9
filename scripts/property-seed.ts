import { configureGlobal } from 'fast-check'

/**
 * Property tests draw the same cases in every run, so that a failure belongs to the change that brought it. Look for
 * new cases with `PROPERTY_SEED=random`, or repeat a run with the number it printed.
 */
const seed = process.env.PROPERTY_SEED ?? '20260728'
if (seed !== 'random') configureGlobal({ seed: Number(seed) })
