import type { Context } from '../base/context.ts'
import { StreamInspection } from './_inspect-stream.ts'
import { type Inspection, type InspectOptions, makeJob, toInspection } from './inspect.ts'

/** Inspects content that is pushed through it; the answer does not depend on how it is cut. */
export interface Inspector extends AsyncDisposable {
  /** Whether the verdict is clear, so that the rest need not come. */
  readonly decided: boolean
  /** The next bytes. They may be reused when this is done. */
  push(chunk: Uint8Array): Promise<void>
  /** Nothing follows: what was found. */
  end(): Promise<Inspection>
}

/**
 * An inspector in this thread, for content that is on its way to somewhere else as well. Memory is
 * bounded; what comes before the tables that explain it is put aside in a file without a name.
 * Fails with FORMAT_UNKNOWN (no such claim), and pushing with NO_SPACE.
 */
export function createInspector(options: InspectOptions, context: Context): Inspector {
  const job = makeJob(options, context)
  const stream = new StreamInspection(job)
  let size = 0
  return {
    get decided() {
      return stream.decided
    },
    push: async (chunk) => {
      size += chunk.length
      await stream.push(chunk)
    },
    end: async () => toInspection(await stream.end(), job, size),
    [Symbol.asyncDispose]: () => stream[Symbol.asyncDispose](),
  }
}
