import type { ChildProcess } from 'node:child_process'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import type { Context } from '../base/context.ts'
import { Failure, messageOf } from '../base/failure.ts'
import { exitOf, startProcess, stopProcess } from '../base/process.ts'
import { answerRequests } from './_answer-requests.ts'
import { dieWithParent } from './_die-with-parent.ts'
import { readActivity } from './_machine-activity.ts'
import { layMachineFiles, openMachineDirectory } from './_machine-directory.ts'
import { STREAMS, toQemuArguments } from './_qemu-arguments.ts'
import type { Machine, MachineOptions } from './machine.ts'
import { toPng } from './png.ts'
import { checkQemu } from './qemu.ts'
import { openQmp, type Qmp } from './qmp.ts'

const MAX_WORDS = 16 * 1024
/** Nothing that the guest did, nor we, who end machines without being told. */
const ENDED_FROM_OUTSIDE = 'QEMU shut down: host-signal'

/**
 * Starts a machine; returns when it runs. Aborting the context ends it.
 *
 * Fails with TOOL_MISSING, MACHINE_FAILED (with QEMU's words), IMAGE_BUSY when somebody writes to
 * the image, INTERRUPTED, NO_SPACE, as the uplink does, and with what is wrong with the image (see `openImage`).
 */
export async function startMachine(options: MachineOptions, context: Context): Promise<Machine> {
  if (context.signal.aborted)
    throw new Failure('INTERRUPTED', 'the machine was not started: interrupted')
  const { program } = await checkQemu()
  await using stack = new AsyncDisposableStack()
  const directory = stack.use(await openMachineDirectory(options.tempDir))
  const files = await layMachineFiles(options, directory.path)

  const { network } = options
  const uplink = typeof network === 'string' ? undefined : stack.use(await network([], context))
  const launcher = uplink?.launcher ?? []
  // Whoever enters another user namespace is not told any more when its parent dies: that is asked for inside.
  const argv = [...launcher, ...dieWithParent([program, ...toQemuArguments(options, files)])]
  const streams = ['pipe', 'pipe', options.onRequest === undefined ? 'ignore' : 'pipe'] as const
  const child = startProcess(argv, { stdio: ['ignore', 'ignore', 'pipe', ...streams] })
  stack.defer(() => stopProcess(child))
  const onAbort = () => void stopProcess(child)
  context.signal.addEventListener('abort', onAbort, { once: true })
  stack.defer(() => context.signal.removeEventListener('abort', onAbort))

  const end = watchEnd(child)
  const serial = streamOf(child, 'serial')
  serial.on('data', (chunk: Buffer) => options.onConsole?.(chunk))
  serial.on('error', () => {}) // QEMU went away: `ended` says so
  if (options.onRequest !== undefined) answerRequests(streamOf(child, 'web'), options.onRequest)
  const qmp = await openQmp(streamOf(child, 'qmp'), ({ name, data }) => {
    if (name === 'SHUTDOWN') end.because(data)
    if (name === 'RESET' && data['guest'] === true) options.onReset?.()
  }).catch(async (error: unknown) => {
    await stopProcess(child)
    throw context.signal.aborted ? interrupted() : whyNotStarted(error, await end.ended)
  })
  const sshPort = network === 'none' ? undefined : await findSshPort(qmp)
  // QEMU holds its files open: without names, nothing of them outlives it.
  for (const file of Object.values(files)) await rm(file, { force: true })
  context.log.debug('machine.started', { pid: child.pid, sshPort, qemu: qmp.version })

  const owned = stack.move()
  return {
    qmp,
    sshPort,
    launcher,
    pid: child.pid ?? 0,
    ended: end.ended,
    readActivity: () => readActivity(qmp, child.pid ?? 0),
    screenshot: async () => {
      const file = join(directory.path, 'screen.ppm')
      await qmp.execute('screendump', { filename: file })
      const picture = await readFile(file).finally(() => rm(file, { force: true }))
      return toPng(picture)
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

function interrupted(): Failure {
  return new Failure('INTERRUPTED', 'the machine was interrupted')
}

function streamOf(child: ChildProcess, name: keyof typeof STREAMS): Duplex {
  // Node makes these both ways and as many as were asked for; its types know neither.
  const streams: readonly unknown[] = child.stdio
  return streams[STREAMS[name]] as Duplex
}

/** Why the machine ended: what the guest did, or QEMU's own words. */
function watchEnd(child: ChildProcess): {
  ended: Promise<string>
  because: (shutdown: Readonly<Record<string, unknown>>) => void
} {
  let words = ''
  let reason: string | undefined
  child.stderr?.on('data', (chunk: Buffer) => {
    words = (words + chunk.toString()).slice(-MAX_WORDS)
  })
  const ended = exitOf(child, 'setpriv').then((code) => {
    if (reason === ENDED_FROM_OUTSIDE && words !== '') return `${reason} (${lastWords(words)})`
    return reason ?? (words.trim() || `QEMU ended with ${code}`)
  }, messageOf)
  return {
    ended,
    because: (shutdown) => {
      const how = String(shutdown['reason'])
      reason = how === 'guest-shutdown' ? 'the guest powered off' : `QEMU shut down: ${how}`
    },
  }
}

/** What QEMU said last: of a signal also who sent it. */
function lastWords(words: string): string {
  const line = words.trim().split('\n').at(-1) ?? ''
  return line.replace(/^\S*qemu-system-\w+: */, '')
}

function whyNotStarted(error: unknown, words: string): Failure {
  const said = lastWords(words)
  const busy = /Failed to get .* lock|Is another process using the image/.test(words)
  return busy
    ? new Failure('IMAGE_BUSY', 'the image is being written by somebody else', { cause: error })
    : new Failure('MACHINE_FAILED', `QEMU did not start: ${said.slice(0, 500)}`, {
        details: { output: words },
        cause: error,
      })
}

/**
 * The port that the kernel gave for the guest's port 22.
 * `TCP[HOST_FORWARD]  12  127.0.0.1 43121  10.0.2.15  22  0  0`
 */
async function findSshPort(qmp: Qmp): Promise<number> {
  const table = await qmp.execute('human-monitor-command', { 'command-line': 'info usernet' })
  const port = /HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)/.exec(String(table))?.[1]
  if (port === undefined)
    throw new Failure('MACHINE_FAILED', 'QEMU does not say which port leads to the guest')
  return Number(port)
}
