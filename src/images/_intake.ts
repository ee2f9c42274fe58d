import type { Context } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import type { DigestThreads } from '../bytes/digest-threads.ts'
import { tooLarge } from './_arriving.ts'
import type { Ingested, IngestPlan } from './ingest.ts'

/** One ingest on its way. */
export interface Intake {
  readonly plan: IngestPlan
  readonly digests: DigestThreads
  readonly context: Context
  /** The digests of what is stored. */
  readonly algorithms: readonly string[]
  /**
   * Called when everything has arrived, before anything stands, with the digests of what is stored if they
   * are known by then. Fails with DIGEST_MISMATCH.
   */
  demandExpected(stored: readonly string[]): Promise<void>
}

/** What was stored; the sizes of what arrived are filled in by `ingest`. */
export type Stored = Omit<
  Ingested,
  'checksum' | 'hashAlgorithm' | 'hashValue' | 'alsoHashed' | 'sourceSize'
> & {
  /** In the order of `Intake.algorithms`. */
  readonly digests: readonly string[]
}

/** Fails with LIMIT_EXCEEDED, QUOTA_EXCEEDED when so many bytes are not to be stored. */
export function demandRoom({ name, maxSize, quota }: IngestPlan, size: number): void {
  if (size > maxSize) throw tooLarge(name, maxSize)
  if (quota !== undefined && size > quota)
    throw new Failure('QUOTA_EXCEEDED', `${name} is larger than the ${quota} bytes that are left`, {
      details: { quota },
    })
}
