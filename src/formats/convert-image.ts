/**
 * Conversion: any image that can be read becomes a file of any format that can be viewed. While the
 * input is being inspected its disk is read in place and copied already, by the same parsers, which
 * believe nothing; but the output takes its name only once the input was found safe. Compressed inputs,
 * archives and streams are imported into a raw working file first. The output's bytes are those of
 * the view: the same disk gives the same file, from whatever it was converted.
 */
import type { Context } from '../base/context.ts'
import type { Sink } from '../bytes/send-pieces.ts'
import { inspectSafeImage } from './inspect-safe-image.ts'
import type { ViewFormat } from './view.ts'
import { viewFormatOf } from './views.ts'

export interface ConvertOptions {
  /** A file, or content that comes as a stream. */
  readonly input: string | AsyncIterable<Uint8Array>
  /** What the input is; told from its content when left out. One of CLAIMS. */
  readonly inputFormat?: string | undefined
  /** A file, or where its bytes go in their order. */
  readonly output: string | Sink
  /** The format of the output: a name of `views.ts`. */
  readonly format: string
  /** Of compression, where the output is compressed. */
  readonly level?: number | undefined
  /**
   * A directory in which what is found out about the input, and its compressed clusters, are kept for
   * the next conversion. An input that was changed meanwhile is noticed.
   */
  readonly keep?: string | undefined
  /** Whether digests are computed: they cost more than the conversion. */
  readonly digest?: boolean | undefined
  /** For what a stream brings before its tables, and for a stream's disk. */
  readonly tempDir: string
}

export interface Converted {
  readonly inputFormat: string
  readonly format: string
  /** Bytes of the output, of the disk, and of the disk's units that hold data. */
  readonly size: number
  readonly virtualSize: number
  readonly dataSize: number
  /** See `Golden.identity`. */
  readonly identity: string
  /** Hexadecimal SHA-256 of the output's bytes, and the digest of the disk's content (`content-digest.ts`). */
  readonly sha256?: string
  readonly contentDigest?: string
}

/** A conversion as it is carried out: its format looked up, its output where it really goes. */
export interface ConvertJob extends Omit<ConvertOptions, 'format'> {
  readonly format: ViewFormat
}

/** An image was opened as something that it is not. */
class WrongGuess extends Error {}

/**
 * Converts an image. The output is whole or not there at all; an older file of its name stays until it
 * is. Nothing else is left, however it ends.
 *
 * Fails with IMAGE_UNSAFE and the other refusals of an inspection (findings in `details.findings`),
 * IMAGE_NOT_FOUND, FORMAT_UNKNOWN, VIEW_IMPOSSIBLE, USAGE (input and output are the same file, level),
 * NO_SPACE, FILE_NOT_FOUND, FILE_UNREADABLE, IMAGE_TRUNCATED, INTERRUPTED; with what the sink throws.
 */
export async function convertImage(options: ConvertOptions, context: Context): Promise<Converted> {
  const format = viewFormatOf(options.format)
  const { input } = options
  if (typeof input !== 'string') {
    const job = await makeJob(options, format)
    return await convertImported(input, 'the input', job, context)
  }
  context.progress({ kind: 'phase', name: 'inspect', detail: input })
  const ended = new AbortController()
  const signal = AbortSignal.any([context.signal, ended.signal])
  const verdict = inspect(input, options, { ...context, signal })
  verdict.catch(() => {}) // whoever waits for it hears of it
  try {
    // The rest of the code is loaded while the inspection begins.
    const job = await makeJob(options, format)
    return (
      (await convertEarly(input, verdict, job, context)) ??
      (await convertInspected(input, await verdict, job, context))
    )
  } finally {
    ended.abort()
    await verdict.catch(() => {})
  }
}

async function makeJob(options: ConvertOptions, format: ViewFormat): Promise<ConvertJob> {
  const { placeFor, refuseSame } = await import('./_convert-output.ts')
  const { input } = options
  const output =
    typeof options.output === 'string' ? await placeFor(options.output) : options.output
  if (typeof output === 'string' && typeof input === 'string') await refuseSame(input, output)
  return { ...options, format, output }
}

/** What the input is. Fails if it is not safe. */
async function inspect(
  input: string,
  { inputFormat: claim, tempDir }: ConvertOptions,
  context: Context,
): Promise<string> {
  const options = { claim, spoolDirectory: tempDir }
  const { format } = await inspectSafeImage(input, options, context)
  return format
}

/**
 * Converts an image for what it seems to be, without waiting for the verdict of its inspection; only
 * the output does. Undefined when it cannot be read in place, or is something else.
 */
async function convertEarly(
  input: string,
  verdict: Promise<string>,
  job: ConvertJob,
  context: Context,
): Promise<Converted | undefined> {
  const { guessFormat, openInPlace, readInPlace } = await import('./_convert-input.ts')
  const { writeOutput } = await import('./_convert-output.ts')
  const refused = new AbortController()
  verdict.catch(() => refused.abort())
  const early = { ...context, signal: AbortSignal.any([context.signal, refused.signal]) }
  try {
    const guess = await guessFormat(input, job.inputFormat)
    if (guess === undefined) return undefined
    await using opened = await openInPlace(input, guess, job.keep, early)
    if (opened === undefined) return undefined
    const accepted = async () => {
      const format = await verdict
      if (readInPlace(format) !== guess) throw new WrongGuess()
      return format
    }
    return await writeOutput(opened, accepted, job, early)
  } catch (error) {
    if (error instanceof WrongGuess) return undefined
    await verdict // why it is refused says more than what came of that
    throw error
  }
}

/** Converts an image that was found to be a safe `format`. */
async function convertInspected(
  input: string,
  format: string,
  job: ConvertJob,
  context: Context,
): Promise<Converted> {
  const { openInPlace, readInPlace } = await import('./_convert-input.ts')
  const { writeOutput } = await import('./_convert-output.ts')
  const known = readInPlace(format)
  await using opened =
    known === undefined ? undefined : await openInPlace(input, known, job.keep, context)
  if (opened === undefined) return await convertImported(input, input, job, context)
  return await writeOutput(opened, async () => format, job, context)
}

async function convertImported(
  input: string | AsyncIterable<Uint8Array>,
  name: string,
  job: ConvertJob,
  context: Context,
): Promise<Converted> {
  const { importInput } = await import('./_convert-input.ts')
  const { writeOutput } = await import('./_convert-output.ts')
  await using opened = await importInput(input, name, job, context)
  return await writeOutput(opened, async () => opened.format, job, context)
}
