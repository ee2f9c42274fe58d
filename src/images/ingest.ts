/**
 * Ingest: image data on its way from a client (or another server) into a store, in one pass. What arrives is
 * hashed, inspected, unpacked and converted while it is written, so that its bytes go to the medium once.
 * Uploads, staging, downloads from the web and copies between stores are all this.
 */
import type { Context } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import { digestedBlocks } from '../bytes/blocks.ts'
import { DigestThreads } from '../bytes/digest-threads.ts'
import type { DiskMap } from '../formats/disk-map.ts'
import type { Finding } from '../formats/finding.ts'
import { unpackStream } from '../formats/unpack-stream.ts'
import type { Store } from '../stores/store.ts'
import { type Arrived, counted } from './_arriving.ts'
import { ingestAsItIs } from './_ingest-as-it-is.ts'
import { ingestConverted, isConverted } from './_ingest-converted.ts'
import { demandRoom, type Stored } from './_intake.ts'
import { sniff } from './_sniff.ts'
import { type Signature, SignatureCheck, type Signer } from './signature.ts'

export interface IngestPlan {
  /** What failures call the data: `image ID`. */
  readonly name: string
  /** Where it goes, as an object of this key. */
  readonly store: Store
  readonly key: string
  /** What the image says of itself. */
  readonly diskFormat: string
  readonly containerFormat: string
  /** Bytes that were announced; more or fewer are refused. */
  readonly size?: number | undefined
  /** More stored bytes than these are refused with LIMIT_EXCEEDED; more than a quota's, with QUOTA_EXCEEDED. */
  readonly maxSize: number
  readonly quota?: number | undefined
  /** Unpack what is compressed; make a disk of this format of any other; neither by default. */
  readonly decompress?: boolean
  readonly convertTo?: string | undefined
  /** Refuse content that is not of the declared format. Anything may be declared raw. */
  readonly requireMatch: boolean
  /** The digest besides MD5: `sha512`. */
  readonly hashAlgorithm: string
  /** One more digest of what is stored, kept beside the record as an attachment of this name. */
  readonly alsoHash?: 'sha256' | undefined
  /** What the data has to hash to, as it arrives. */
  readonly expected?: { readonly algorithm: string; readonly value: string } | undefined
  /** Who has to have signed the data, as it arrives. */
  readonly signer?: Signer | undefined
  /** For what has to be put aside. */
  readonly spoolDirectory: string
  /** Whether the map of the disk is wanted (for views); it costs little for raw. */
  readonly wantsMap: boolean
  /** Threads that digest. Left out: some are started, and ended, for this alone. */
  readonly digests?: DigestThreads | undefined
}

/** What stands in the store now. Sizes are bytes, digests hexadecimal. */
export interface Ingested {
  readonly size: number
  readonly virtualSize: number | null
  readonly diskFormat: string
  readonly containerFormat: string
  readonly checksum: string
  readonly hashAlgorithm: string
  readonly hashValue: string
  /** By `IngestPlan.alsoHash`. */
  readonly alsoHashed?: { readonly algorithm: 'sha256'; readonly value: string }
  /** What the data was verified with. */
  readonly signature?: Signature
  readonly map: DiskMap | undefined
  readonly findings: readonly Finding[]
  /** Bytes that arrived. */
  readonly sourceSize: number
}

/** Envelopes that may be compressed as a whole: nobody unpacks a ramdisk. */
const PACKED: ReadonlySet<string> = new Set(['bare', 'compressed'])

/**
 * Takes data in. Of what is refused, ends early or is interrupted nothing is left in the store.
 *
 * Fails with FORMAT_MISMATCH, IMAGE_UNSAFE, IMAGE_DIRTY, IMAGE_TRUNCATED, FILE_SYSTEM_ENCRYPTED (findings in
 * `details.findings`), LIMIT_EXCEEDED, QUOTA_EXCEEDED, REQUEST_INVALID (other than the announced size),
 * DIGEST_MISMATCH, SIGNATURE_INVALID, STORE_FULL, STORE_READ_ONLY, STORE_DENIED, STORE_AWAY, NO_SPACE, INTERRUPTED; and with
 * whatever the stream fails with.
 */
export async function ingest(
  stream: AsyncIterable<Uint8Array>,
  plan: IngestPlan,
  context: Context,
): Promise<Ingested> {
  const { expected, hashAlgorithm, alsoHash, signer } = plan
  const isAsItCame = plan.decompress !== true && !isConverted(plan)
  if (plan.size !== undefined && isAsItCame) demandRoom(plan, plan.size) // before anything is read
  await using own = new DigestThreads() // none is started unless it is used
  const digests = plan.digests ?? own
  const arrived: Arrived = { size: 0 }
  const check = signer && new SignatureCheck(plan.name, signer)
  const brought = counted(stream, plan, arrived, context)
  const arriving = check ? check.hear(brought) : brought
  const algorithms = ['md5', hashAlgorithm]
  if (isAsItCame) {
    if (expected) algorithms.push(expected.algorithm)
    if (alsoHash) algorithms.push(alsoHash)
    const demandExpected = async (found: readonly string[]) => {
      demandDigest(plan, found[2])
      check?.demand()
    }
    const intake = { plan, digests, context, algorithms, demandExpected }
    return toIngested(await ingestAsItIs(arriving, intake), plan, arrived)
  }
  await using ring = expected && digests.ring([expected.algorithm])
  const demandExpected = async () => {
    demandDigest(plan, (await ring?.end())?.[0])
    check?.demand()
  }
  const { content, containerFormat } = await unpacked(
    ring ? digestedBlocks(arriving, ring) : arriving,
    plan,
  )
  if (alsoHash) algorithms.push(alsoHash)
  const inner: IngestPlan = { ...plan, containerFormat }
  const intake = { plan: inner, digests, context, algorithms, demandExpected }
  const store = isConverted(inner) ? ingestConverted : ingestAsItIs
  return toIngested(await store(content, intake), plan, arrived)
}

export type Ingest = typeof ingest

/** The content without its compression, if that is wanted and there is one. */
async function unpacked(
  chunks: AsyncIterable<Uint8Array>,
  { name, containerFormat, decompress, maxSize }: IngestPlan,
): Promise<{ content: AsyncIterable<Uint8Array>; containerFormat: string }> {
  if (decompress !== true || !PACKED.has(containerFormat))
    return { content: chunks, containerFormat }
  const { packing, content } = await sniff(chunks)
  if (packing !== undefined)
    return {
      content: unpackStream(content, packing, { name, maxSize: maxSize + MiB }),
      containerFormat: 'bare',
    }
  if (containerFormat === 'bare') return { content, containerFormat }
  throw new Failure('FORMAT_MISMATCH', `${name} is said to be compressed, and is not`)
}

function demandDigest({ name, expected }: IngestPlan, found: string | undefined): void {
  if (expected === undefined || found === expected.value.toLowerCase()) return
  const { algorithm, value } = expected
  const text = `${name} has the ${algorithm} digest ${found}, not ${value}`
  throw new Failure('DIGEST_MISMATCH', text, { details: { algorithm, found, expected: value } })
}

function toIngested(
  { digests, ...stored }: Stored,
  { hashAlgorithm, alsoHash, signer }: IngestPlan,
  { size: sourceSize }: Arrived,
): Ingested {
  const [checksum = '', hashValue = ''] = digests
  const alsoHashed = alsoHash && { algorithm: alsoHash, value: digests.at(-1) ?? '' }
  const hashed = { checksum, hashAlgorithm, hashValue, ...(alsoHashed && { alsoHashed }) }
  return { ...stored, ...hashed, ...(signer && { signature: signer.signature }), sourceSize }
}
