import { Failure } from '../base/failure.ts'
import { findProgram, runTool } from '../base/process.ts'

/** The emulator of this host. */
export interface Qemu {
  /** Path of the program. */
  readonly program: string
  /** `7.2.22`. */
  readonly version: string
}

const PROGRAM = 'qemu-system-x86_64'

/** The programs that machines need, with the Debian packages that bring them. */
export const MACHINE_TOOLS: Readonly<Record<string, string>> = {
  [PROGRAM]: 'qemu-system-x86',
  'qemu-img': 'qemu-utils',
  setpriv: 'util-linux',
  ssh: 'openssh-client',
  'ssh-keygen': 'openssh-client',
}

/**
 * The emulator that machines run on, after a look at its version.
 * Fails with TOOL_MISSING when a program that machines need is not installed.
 */
export async function checkQemu(): Promise<Qemu> {
  const missing = Object.keys(MACHINE_TOOLS).filter((name) => findProgram(name) === undefined)
  if (missing.length > 0)
    throw new Failure('TOOL_MISSING', `virtual machines need ${missing.join(', ')}`, {
      details: { missing },
      fix: `apt-get install ${[...new Set(missing.map((name) => MACHINE_TOOLS[name]))].join(' ')}`,
    })
  const program = findProgram(PROGRAM) ?? PROGRAM
  const output = (await runTool([program, '--version'], { timeoutMs: 20_000 })).toString()
  return { program, version: /version (\d+(?:\.\d+)*)/.exec(output)?.[1] ?? 'unknown' }
}
