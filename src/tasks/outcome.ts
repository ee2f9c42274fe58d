import { Failure, messageOf } from '../base/failure.ts'
import type { Outcome } from './task.ts'

/** What a task says that failed of `reason`. What was not foreseen is for the log, not for whoever asked. */
export function outcomeOf(reason: unknown): Outcome {
  const message = reason instanceof Failure ? messageOf(reason) : 'internal error, see the log'
  return { status: 'failure', message }
}
