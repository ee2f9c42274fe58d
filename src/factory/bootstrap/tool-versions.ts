import { isFailure } from '../../base/failure.ts'
import { runProcess } from '../../base/process.ts'

/** How each program is asked for its version. */
const QUESTIONS: Readonly<Record<string, string>> = {
  mmdebstrap: '--version',
  bwrap: '--version',
  mke2fs: '-V',
  'mkfs.btrfs': '--version',
  guestfish: '--version',
  'qemu-img': '--version',
}

/** Versions of programs on this host, by name; those that are not there are left out. */
export async function readToolVersions(
  programs: readonly string[],
): Promise<Readonly<Record<string, string>>> {
  const answers = await Promise.all(
    programs.map(async (program): Promise<[string, string][]> => {
      try {
        const { stdout, stderr } = await runProcess([program, QUESTIONS[program] ?? '--version'])
        const version = /\d+(\.\d+)+\S*/.exec(`${stdout.toString()}\n${stderr.toString()}`)?.[0]
        return version === undefined ? [] : [[program, version]]
      } catch (error) {
        if (isFailure(error, 'TOOL_MISSING')) return []
        throw error
      }
    }),
  )
  return Object.fromEntries(answers.flat())
}
