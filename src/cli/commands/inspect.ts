import { Failure, isFailure } from '../../base/failure.ts'
import { EXIT } from '../../base/failures.ts'
import { parseDuration, parseSize } from '../../base/units.ts'
import type { Inspection, InspectionThread, InspectOptions } from '../../formats/inspect.ts'
import { formatInspection } from '../_inspection.ts'
import type { Cli, CommandModule } from '../cli.ts'

interface InspectFlags {
  claim?: string
  maxVirtualSize?: string
  maxUnpackedSize?: string
  timeout?: string
  allowPrivate?: boolean
}

/** Inspections at a time; each has a thread. */
const AT_ONCE = 2

/** `ingot inspect FILE|URL ...`: what images are, and whether they are safe to open. */
export const define: CommandModule['define'] = (command, _argv, openCli) => {
  command
    .usage('FILE|URL|- ... [--claim FORMAT] [options]')
    .argument('<image...>', 'files, addresses (https://…), or - for standard input')
    .option('--claim <format>', 'what they are said to be: qcow2, raw, ova, raw.gz, …')
    .option('--max-virtual-size <size>', 'refuse larger disks (default: 64T)')
    .option('--max-unpacked-size <size>', 'refuse more from a compressed file (default: 1T)')
    .option('--timeout <time>', 'for each of them (default: 5m)')
    .option('--allow-private', 'also fetch from addresses that only this network has')
    .addHelpText(
      'after',
      '\nImages are read by parsers that trust nothing; no other file is opened, whatever they name. Without --claim an image may be of any format, but only of one.\nExit code 0: all are safe; 4: one is not; 3: one is not there.',
    )
  command.action(async (images: string[], flags: InspectFlags) => {
    const cli = openCli(command)
    const options = toOptions(flags)
    const { InspectionThread } = await import('../../formats/inspect.ts')
    await using threads = new AsyncDisposableStack()
    const free = Array.from({ length: Math.min(AT_ONCE, images.length) }, () =>
      threads.use(new InspectionThread()),
    )
    let exit: number = EXIT.done
    await inOrder(
      images.map((image) => async () => {
        const thread = free.pop() ?? threads.use(new InspectionThread())
        const result = await inspectOne(thread, image, options, flags, cli)
        free.push(thread)
        return result
      }),
      (result, index) => {
        const image = images[index] ?? ''
        if (isFailure(result)) tellFailure(image, result, cli)
        else
          cli.print(
            cli.json ? asLine(image, result) : formatInspection(image, result, cli.terminal),
          )
        exit = worse(exit, isFailure(result) ? result.exit : result.safe ? EXIT.done : EXIT.differs)
      },
    )
    cli.exit(exit)
  })
}

function toOptions({
  claim,
  maxVirtualSize,
  maxUnpackedSize,
  timeout,
}: InspectFlags): InspectOptions {
  return {
    claim,
    limits: {
      ...(maxVirtualSize !== undefined && { virtualSize: parseSize(maxVirtualSize) }),
      ...(maxUnpackedSize !== undefined && { unpackedSize: parseSize(maxUnpackedSize) }),
      ...(timeout !== undefined && { timeMs: parseDuration(timeout) }),
    },
  }
}

/** Failures of one image are results: the others are inspected all the same. */
async function inspectOne(
  thread: InspectionThread,
  image: string,
  options: InspectOptions,
  { allowPrivate = false }: InspectFlags,
  cli: Cli,
): Promise<Inspection | Failure> {
  try {
    if (image === '-') return await thread.inspectStream(process.stdin, options, cli.context)
    if (!/^[a-z]+:\/\//i.test(image)) return await thread.inspectImage(image, options, cli.context)
    if (!/^https?:/i.test(image))
      throw new Failure('USAGE', `${image}: only addresses of https and http are fetched`)
    const { fetchStream } = await import('../../bytes/fetch-stream.ts')
    const { anyWeb } = await import('../../bytes/public-web.ts')
    const body = fetchStream(image, allowPrivate ? { rules: anyWeb } : {}, cli.context)
    return await thread.inspectStream(body, options, cli.context)
  } catch (error) {
    if (!isFailure(error) || OF_ALL.has(error.code)) throw error
    return error
  } finally {
    if (image === '-') process.stdin.destroy() // nobody waits for the rest of it
  }
}

/** What would fail for every other image as well. */
const OF_ALL: ReadonlySet<string> = new Set(['USAGE', 'FORMAT_UNKNOWN', 'INTERRUPTED'])

/** Runs two at a time, and hands over results in the order of the work. */
async function inOrder<T>(
  work: readonly (() => Promise<T>)[],
  done: (result: T, index: number) => void,
): Promise<void> {
  const running: Promise<T>[] = []
  let next = 0
  const start = () => {
    const one = work[next++]
    if (one) running.push(one())
  }
  for (let count = 0; count < AT_ONCE; count++) start()
  for (let index = 0; index < work.length; index++) {
    const result = await running[index]
    start()
    if (result !== undefined) done(result, index)
  }
}

/** An unsafe image is worse than a missing one, which is worse than all that is well. */
function worse(one: number, other: number): number {
  const order: readonly number[] = [EXIT.done, EXIT.notFound, EXIT.failed, EXIT.differs]
  return order.indexOf(other) > order.indexOf(one) ? other : one
}

function tellFailure(image: string, { code, message, fix }: Failure, cli: Cli): void {
  if (cli.json) cli.print(JSON.stringify({ file: image, error: { code, message } }))
  else cli.say(`ingot: ${message}${fix === undefined ? '' : `\n       ${fix}`}`)
}

function asLine(image: string, inspection: Inspection): string {
  const { claim, format, safe, size, virtualSize, findings } = inspection
  return JSON.stringify({
    file: image,
    claim: claim ?? null,
    format,
    safe,
    size,
    virtualSize: virtualSize ?? null,
    findings: findings.map(({ code, severity, at, found, expected }) => ({
      code,
      severity,
      at,
      found,
      expected,
    })),
  })
}
