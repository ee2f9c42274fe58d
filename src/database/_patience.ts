/** Trying again while others are in the way. */
import { setTimeout as delay } from 'node:timers/promises'
import { Failure } from '../base/failure.ts'

const PATIENCE_MS = 10_000
const SHORTEST_MS = 1
const LONGEST_MS = 100

/**
 * Makes attempts until one succeeds, fails otherwise than `isPassing` says, or patience is over.
 * Between two is a pause that grows, of random length, so that those who collided once do not go on to.
 * Fails with DATABASE_BUSY.
 */
export async function tryPatiently<T>(
  attempt: () => Promise<T>,
  isPassing: (error: unknown) => boolean,
  patienceMs: number = PATIENCE_MS,
): Promise<T> {
  const end = performance.now() + patienceMs
  for (let pause = SHORTEST_MS; ; pause = Math.min(pause * 2, LONGEST_MS))
    try {
      return await attempt()
    } catch (error) {
      if (!isPassing(error)) throw error
      if (performance.now() >= end)
        throw new Failure(
          'DATABASE_BUSY',
          `others kept the database busy for ${patienceMs / 1000} s`,
          { cause: error },
        )
      await delay(pause * (0.5 + Math.random()))
    }
}
