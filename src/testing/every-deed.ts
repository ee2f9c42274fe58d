import { setTimeout as wait } from 'node:timers/promises'

/** Long enough for any machine; who waits for longer is told by the test that nothing was done. */
const PATIENCE_MS = 60_000

/** Waits until each of these was done at least once: how much random work gets done in a time, nobody knows. */
export async function everyDeed(done: Readonly<Record<string, number>>): Promise<void> {
  const end = Date.now() + PATIENCE_MS
  while (Object.values(done).includes(0) && Date.now() < end) await wait(20)
}
