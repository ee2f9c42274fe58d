import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Context } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { defaultTempDir } from '../base/paths.ts'
import { exitOf, startProcess, stopProcess } from '../base/process.ts'
import { dieWithParent } from './_die-with-parent.ts'
import { FEATS, makeProbeRom } from './_probe-rom.ts'
import type { Qemu } from './qemu.ts'

/** How the probe went on one processor. */
export interface ProbeResult {
  works: boolean
  /** The feats that were done, in order: `RPLE`. */
  reached: string
  durationMs: number
  /** In one line, for people. */
  reason: string
}

const MAX_OUTPUT = 16 * 1024

/** Runs the probe guest. Fails with TOOL_MISSING, INTERRUPTED. */
export async function runProbe(
  qemu: Qemu,
  accelerator: 'kvm' | 'tcg',
  cpu: string,
  timeoutMs: number,
  context: Context,
): Promise<ProbeResult> {
  const directory = await mkdtemp(join(defaultTempDir(), 'ingot-probe-'))
  try {
    const rom = join(directory, 'probe.rom')
    await writeFile(rom, makeProbeRom())
    const start = performance.now()
    const { ended, stdout, stderr } = await watch(
      dieWithParent([qemu.program, ...machineOf(accelerator, cpu, rom)]),
      timeoutMs,
      context.signal,
    )
    const reached = stdout.replaceAll(/[^A-Z]/g, '')
    const works = ended === 'exit' && reached === Object.keys(FEATS).join('')
    return {
      works,
      reached,
      durationMs: Math.round(performance.now() - start),
      reason: works ? `a guest of ours ran on -cpu ${cpu}` : whyNot(ended, reached, stderr),
    }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

function machineOf(accelerator: string, cpu: string, rom: string): string[] {
  const bare = ['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot']
  const machine = ['-machine', 'q35', '-accel', accelerator, '-cpu', cpu, '-m', '64', '-bios', rom]
  return [...bare, ...machine, '-debugcon', 'stdio', '-device', 'isa-debug-exit,iobase=0xf4']
}

type End = 'exit' | 'timeout' | 'stuck'

/** Until it ends, is stuck (QEMU says so and waits), or the time is over. Nothing is left running. */
async function watch(
  argv: readonly string[],
  timeoutMs: number,
  signal: AbortSignal,
): Promise<{ ended: End; stdout: string; stderr: string }> {
  const child = startProcess(argv)
  const output = { stdout: '', stderr: '' }
  const outcome = Promise.withResolvers<End>()
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream]?.on('data', (chunk: Buffer) => {
      output[stream] = (output[stream] + chunk.toString('latin1')).slice(0, MAX_OUTPUT)
      if (stream === 'stderr' && output.stderr.includes('KVM internal error'))
        outcome.resolve('stuck')
    })
  exitOf(child, 'setpriv').then(() => outcome.resolve('exit'), outcome.reject)
  const timer = setTimeout(() => outcome.resolve('timeout'), timeoutMs)
  const onAbort = () => outcome.reject(new Failure('INTERRUPTED', 'the probe was interrupted'))
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  try {
    return { ended: await outcome.promise, ...output }
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
    await stopProcess(child, 500)
  }
}

function whyNot(ended: End, reached: string, stderr: string): string {
  const next = Object.keys(FEATS).find((letter) => !reached.includes(letter)) ?? 'S'
  const feat = FEATS[next]
  if (ended === 'timeout') return `a guest of ours hung at ${feat}`
  const lines = stderr.split('\n').filter((line) => line.trim() !== '')
  const line = lines.find((text) => /error|fail|unable/i.test(text)) ?? lines[0] ?? ''
  const said = line
    .replace(/^\S*qemu-system-\w+: */, '')
    .slice(0, 200)
    .trim()
  if (reached === '') return `QEMU ended before a guest ran${said === '' ? '' : `: ${said}`}`
  return `a guest of ours could not do ${feat}${said === '' ? '' : ` (${said})`}`
}
