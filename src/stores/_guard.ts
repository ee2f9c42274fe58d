/** What passes the gate of one store: its name in every failure, and its counters. */
import { Failure, isFailure } from '../base/failure.ts'
import { asStoreFailure } from './_store-failure.ts'
import type { StoreCounters } from './store.ts'

/** Runs one operation of a driver. `what` is what failures call it: `writing KEY`. */
export type Guard = <T>(what: string, work: () => Promise<T>) => Promise<T>

export function makeGuard(store: string, counters: StoreCounters, signal: AbortSignal): Guard {
  return async (what, work) => {
    try {
      return await work()
    } catch (error) {
      if (signal.aborted && !isFailure(error))
        throw new Failure('INTERRUPTED', `store ${store}: ${what} was interrupted`, {
          cause: error,
        })
      const failure = asStoreFailure(error, store, what)
      if (!isFailure(failure, 'OBJECT_NOT_FOUND')) counters.failures++
      throw failure
    }
  }
}

export function newCounters(): StoreCounters {
  return { created: 0, opened: 0, removed: 0, bytesWritten: 0, bytesRead: 0, failures: 0 }
}
