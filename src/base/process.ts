/**
 * Child processes. This is the only file that starts any: argument vectors, never shell strings;
 * output bounded; time limited; the whole process group ended on timeout and on abort.
 */
import { type ChildProcess, fork, spawn, type StdioOptions } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { BoundedOutput } from './bounded-output.ts'
import { Failure, messageOf, systemCode } from './failure.ts'
import { MiB } from './units.ts'

export interface RunOptions {
  /** The child's whole environment; this process's own when left out. */
  env?: Readonly<Record<string, string>> | undefined
  cwd?: string | undefined
  /** Standard input; closed at once when left out. */
  input?: string | Uint8Array | undefined
  /** After this the process group is killed and COMMAND_TIMEOUT thrown. No limit when left out. */
  timeoutMs?: number | undefined
  signal?: AbortSignal | undefined
  /** Called with every piece of output, as it comes. */
  onOutput?: ((text: string, stream: 'stdout' | 'stderr') => void) | undefined
  /** How many bytes of each stream are kept; the middle is dropped beyond. Default 8 MiB. */
  maxOutput?: number | undefined
}

export interface RunResult {
  /** Exit code; 128 + signal number when a signal ended it. */
  code: number
  stdout: Buffer
  stderr: Buffer
}

const SIGNAL_NUMBERS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGTERM: 15,
}

/**
 * Runs a program to its end. A non-zero exit is an answer, not an error.
 * Fails with TOOL_MISSING, COMMAND_TIMEOUT, INTERRUPTED.
 */
export async function runProcess(
  argv: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const [program] = argv
  if (program === undefined) throw new Error('runProcess: empty argument vector')
  if (options.signal?.aborted)
    throw new Failure('INTERRUPTED', `${program} was not started: interrupted`)
  const child = startProcess(argv, {
    env: options.env,
    cwd: options.cwd,
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  })
  const stdout = new BoundedOutput(options.maxOutput ?? 8 * MiB)
  const stderr = new BoundedOutput(options.maxOutput ?? 8 * MiB)
  const collect = (stream: 'stdout' | 'stderr', into: BoundedOutput) => {
    const decoder = new TextDecoder()
    child[stream]?.on('data', (chunk: Buffer) => {
      into.add(chunk)
      options.onOutput?.(decoder.decode(chunk, { stream: true }), stream)
    })
  }
  collect('stdout', stdout)
  collect('stderr', stderr)
  let ended: 'timeout' | 'aborted' | undefined
  let patience: NodeJS.Timeout | undefined
  const end = (why: 'timeout' | 'aborted') => {
    ended ??= why
    killGroup(child, 'SIGTERM')
    patience ??= setTimeout(() => killGroup(child, 'SIGKILL'), 2000)
  }
  child.once('exit', () => letGoOfDaemons(child))
  const timer =
    options.timeoutMs === undefined
      ? undefined
      : setTimeout(() => end('timeout'), options.timeoutMs)
  const onAbort = () => end('aborted')
  options.signal?.addEventListener('abort', onAbort, { once: true })
  try {
    if (options.input !== undefined && child.stdin) {
      child.stdin.on('error', () => {}) // a child that does not read its input is not an error
      child.stdin.end(options.input)
    }
    const code = await exitOf(child, program)
    if (ended === 'timeout')
      throw new Failure(
        'COMMAND_TIMEOUT',
        `${program} did not end within ${(options.timeoutMs ?? 0) / 1000} s`,
        {
          details: { argv: argv.slice(0, 1), output: tail(stdout.toBuffer(), stderr.toBuffer()) },
        },
      )
    if (ended === 'aborted') throw new Failure('INTERRUPTED', `${program} was interrupted`)
    return { code, stdout: stdout.toBuffer(), stderr: stderr.toBuffer() }
  } finally {
    if (ended) killGroup(child, 'SIGKILL') // what outlived the program, deaf to SIGTERM
    clearTimeout(patience)
    clearTimeout(timer)
    options.signal?.removeEventListener('abort', onAbort)
  }
}

const QUIET_MS = 200
const MAX_QUIET_ROUNDS = 10

/**
 * Once a program has ended, only a daemon it left behind can hold its output open. That is read
 * until it has been quiet for a moment, then let go, so that nobody waits for the daemon to end.
 */
function letGoOfDaemons(child: ChildProcess): void {
  const outputs = [child.stdout, child.stderr]
  let heard = false
  let rounds = 0
  for (const output of outputs) output?.on('data', () => (heard = true))
  const look = () => {
    if (heard && ++rounds < MAX_QUIET_ROUNDS) {
      heard = false
      setTimeout(listen, QUIET_MS).unref()
    } else for (const output of outputs) output?.destroy()
  }
  // after a turn of the event loop that read what was there, however late the timer was
  const listen = () => setImmediate(look)
  setTimeout(listen, QUIET_MS).unref()
}

/**
 * Runs a program that must succeed; its standard output.
 * Fails with COMMAND_FAILED (the last lines of its output in the message) and as `runProcess`.
 */
export async function runTool(argv: readonly string[], options: RunOptions = {}): Promise<Buffer> {
  const result = await runProcess(argv, options)
  if (result.code !== 0) {
    const output = tail(result.stdout, result.stderr)
    throw new Failure(
      'COMMAND_FAILED',
      `${argv[0]} ended with ${result.code}: ${output.split('\n').at(-1) || 'no output'}`,
      {
        details: { program: argv[0], code: result.code, output },
      },
    )
  }
  return result.stdout
}

/** The last 20 lines that matter: of standard error, or of standard output if that is empty. */
function tail(stdout: Buffer, stderr: Buffer): string {
  const text = stderr.toString().trim() || stdout.toString().trim()
  return text.split('\n').slice(-20).join('\n')
}

export interface StartOptions {
  env?: Readonly<Record<string, string>> | undefined
  cwd?: string | undefined
  stdio?: StdioOptions | undefined
}

/** Starts a program in a process group of its own. The caller ends it with `stopProcess`. */
export function startProcess(argv: readonly string[], options: StartOptions = {}): ChildProcess {
  const [program, ...args] = argv
  if (program === undefined) throw new Error('startProcess: empty argument vector')
  return spawn(program, args, {
    env: options.env ?? process.env,
    cwd: options.cwd,
    stdio: options.stdio ?? ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
}

/** Waits for the end; the exit code. Fails with TOOL_MISSING when the program is not there. */
export async function exitOf(child: ChildProcess, program: string): Promise<number> {
  if (child.exitCode !== null) return child.exitCode
  return await new Promise<number>((resolve, reject) => {
    child.once('error', (error) => {
      reject(
        systemCode(error) === 'ENOENT'
          ? new Failure('TOOL_MISSING', `the program '${program}' is not installed`, {
              details: { program },
              cause: error,
            })
          : new Failure('COMMAND_FAILED', `${program} cannot be started: ${messageOf(error)}`, {
              cause: error,
            }),
      )
    })
    child.once('close', (code, signal) =>
      resolve(code ?? 128 + (SIGNAL_NUMBERS[signal ?? ''] ?? 0)),
    )
  })
}

/** Ends a process and all it started: asks, then after `graceMs` kills. */
export async function stopProcess(child: ChildProcess, graceMs = 2000): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const closed = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  killGroup(child, 'SIGTERM')
  const timer = setTimeout(() => killGroup(child, 'SIGKILL'), graceMs)
  await closed
  clearTimeout(timer)
}

/** Sends a signal to a process that `startProcess` or `startModule` started, and to its group. */
export function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch (error) {
    if (systemCode(error) !== 'ESRCH') child.kill(signal)
  }
}

/**
 * Starts a module of ours as a process of its own that speaks JSON messages over IPC, under the
 * current Node; `launcher` is put in front of it (`['unshare', '--mount', …]`).
 */
export function startModule(
  file: URL,
  options: {
    launcher?: readonly string[]
    args?: readonly string[]
    env?: Readonly<Record<string, string>>
  } = {},
): ChildProcess {
  const env = { ...process.env, ...options.env }
  const [program, ...rest] = options.launcher ?? []
  if (program === undefined)
    return fork(file, [...(options.args ?? [])], {
      env,
      execArgv: [],
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      serialization: 'advanced',
    })
  return spawn(program, [...rest, process.execPath, file.pathname, ...(options.args ?? [])], {
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    serialization: 'advanced',
  })
}

/** The path of a program on PATH (and in the sbin directories), or undefined. */
export function findProgram(name: string): string | undefined {
  const directories = [
    ...(process.env['PATH'] ?? '').split(delimiter),
    '/usr/local/sbin',
    '/usr/sbin',
    '/sbin',
  ]
  for (const directory of directories) {
    const path = join(directory || '.', name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // not here
    }
  }
  return undefined
}
