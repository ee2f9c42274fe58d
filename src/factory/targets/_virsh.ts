/** The few commands of virsh that a volume and a machine need, and what it says as Failures. */
import { pipeline } from 'node:stream/promises'
import { Readable } from 'node:stream'
import { Failure, type FailureCode } from '../../base/failure.ts'
import { BoundedOutput } from '../../base/bounded-output.ts'
import { exitOf, findProgram, runProcess, startProcess, stopProcess } from '../../base/process.ts'
import { KiB } from '../../base/units.ts'

const MAX_OUTPUT = 256 * KiB
/** A daemon that does not answer is away; uploads last as long as they do. */
const SILENCE_MS = 120_000

export interface Virsh {
  /** Its standard output. Fails with CLOUD_AWAY, CLOUD_DENIED, CLOUD_FULL, CLOUD_NOT_FOUND, CLOUD_FAILED, TOOL_MISSING, INTERRUPTED. */
  run(words: readonly string[], input?: string): Promise<string>
  /** As `run`, with what it reads from its standard input. */
  feed(words: readonly string[], content: AsyncIterable<Uint8Array>): Promise<void>
}

/** Speaks to one daemon. Words are arguments, each as it is: none may begin with a dash that should not. */
export function openVirsh(uri: string, signal: AbortSignal): Virsh {
  const argvOf = (words: readonly string[]) => {
    const program = findProgram('virsh')
    if (program === undefined)
      throw new Failure('TOOL_MISSING', "the program 'virsh' is not installed", {
        details: { program: 'virsh' },
        fix: 'Install it (Debian: apt-get install libvirt-clients).',
      })
    // Its words are read here, so they must be English.
    return ['env', 'LC_ALL=C.UTF-8', program, '--quiet', '--connect', uri, ...words]
  }
  // Virsh opens /dev/stdin by its name, which the kernel refuses where that is a socket, as Node's are; `cat` makes it a pipe.
  const piped = (words: readonly string[]) => ['sh', '-c', 'cat | "$@"', 'sh', ...argvOf(words)]
  return {
    run: async (words, input) => {
      const limits = { signal, timeoutMs: SILENCE_MS, maxOutput: MAX_OUTPUT }
      const result =
        input === undefined
          ? await runProcess(argvOf(words), limits)
          : await runProcess(piped(words), { ...limits, input })
      if (result.code !== 0) throw toFailure(words, result.stderr.toString())
      return result.stdout.toString()
    },
    feed: async (words, content) => {
      if (signal.aborted) throw interrupted(words)
      const child = startProcess(piped(words), { stdio: ['pipe', 'ignore', 'pipe'] })
      const said = new BoundedOutput(MAX_OUTPUT)
      child.stderr?.on('data', (chunk: Buffer) => said.add(chunk))
      const { stdin } = child
      if (stdin === null) throw new Error('a program without standard input')
      const ended = exitOf(child, 'virsh')
      ended.catch(() => {}) // it is awaited below
      try {
        const fault = await pipeline(Readable.from(content), stdin, { signal }).then(
          () => undefined,
          (error: unknown) => error,
        )
        if (signal.aborted) throw interrupted(words)
        // Why it stopped reading, it says itself.
        const isBroken = fault instanceof Error && 'code' in fault && fault.code === 'EPIPE'
        if (fault !== undefined && !isBroken) throw fault
        const code = await ended
        if (code !== 0 || fault !== undefined)
          throw toFailure(words, said.toBuffer().toString() || `it ended with ${code}`)
      } finally {
        await stopProcess(child)
      }
    },
  }
}

function interrupted([command = '']: readonly string[]): Failure {
  return new Failure('INTERRUPTED', `virsh ${command} was interrupted`)
}

/** What libvirt's libraries say in English, and what it means. */
const MEANINGS: readonly (readonly [RegExp, FailureCode])[] = [
  [/failed to connect|connection reset|end of file while reading/i, 'CLOUD_AWAY'],
  [/authentication|permission denied|access denied/i, 'CLOUD_DENIED'],
  [/no space left|not enough (free )?space/i, 'CLOUD_FULL'],
  [/not found|no (storage|domain|pool)|failed to get (domain|pool|vol)/i, 'CLOUD_NOT_FOUND'],
]

function toFailure([command = '']: readonly string[], stderr: string): Failure {
  const said = stderr
    .split('\n')
    .map((line) => line.replace(/^error:\s*/, '').trim())
    .filter((line) => line !== '')
    .join('; ')
    .replaceAll(/\p{Cc}+/gu, ' ')
    .slice(0, 500)
  const code = MEANINGS.find(([pattern]) => pattern.test(said))?.[1] ?? 'CLOUD_FAILED'
  return new Failure(code, `libvirt: ${command}: ${said}`, { details: { command } })
}
