/** The template carried out in an installed disk that does not run. */
import { cleanGuest } from '../../guests/clean.ts'
import type { InstalledPackage } from '../../guests/package-manager.ts'
import type { Accelerator } from '../../machines/accelerator.ts'
import { packImage } from '../../recipes/image-run.ts'
import type { Report } from '../../recipes/report.ts'
import type { Remote } from '../../remotes/remote.ts'
import { packagesOf } from '../body/read-packages.ts'
import { demandOk } from '../demand-ok.ts'
import type { Job, PhaseScene } from '../os-builder.ts'
import type { InstallerOptions } from './installer-options.ts'

/** What is known of a guest after its customisation. */
export interface GuestRecord {
  /** Undefined: there was nothing to do. */
  readonly report: Report | undefined
  readonly packages: readonly InstalledPackage[] | undefined
  /** What the template's command for ICICLE printed. */
  readonly extraLines: readonly string[] | undefined
}

const EXTRA_TIMEOUT_MS = 15 * 60_000
const MAX_EXTRA_LINES = 100_000

/** Whether anything is to be done in the guest. */
export function hasWork({ template }: Pick<Job, 'template'>, options: InstallerOptions): boolean {
  return (
    template.recipe.steps.length > 0 || options.generate_icicle !== false || options.clean !== false
  )
}

/**
 * Runs the recipe in the disk at `path`, reads what is installed, and takes out what machines must not share.
 * Fails with STEP_FAILED, ARGUMENT_INVALID, NO_OPERATING_SYSTEM, TOOL_MISSING, MACHINE_FAILED, NO_SPACE, INTERRUPTED.
 */
export async function customiseOffline(
  job: Job<InstallerOptions>,
  path: string,
  accelerator: Accelerator,
  scene: PhaseScene,
): Promise<GuestRecord> {
  const { template, options, cacheDir, workDir, log } = job
  const { recipe } = template
  const context = { ...job.context, signal: scene.signal }
  let found: Omit<GuestRecord, 'report'> = { packages: undefined, extraLines: undefined }
  const beforeFinish = async (remote: Remote): Promise<boolean> => {
    if (options.generate_icicle !== false) found = await readGuest(job, remote)
    if (options.clean === false || recipe.clean?.enabled === false) return false
    const { tasks } = await cleanGuest(remote, recipe.clean ?? {}, context)
    const count = tasks.reduce((sum, { paths }) => sum + paths.length, 0)
    log.event(`${count} things were taken out that machines must not share`)
    return count > 0
  }
  const report = await packImage(
    recipe,
    {
      path,
      format: 'raw',
      inPlace: true,
      via: 'auto',
      trusted: options.trusted ?? false,
      network: options.network !== 'isolated' && job.reach.uplink,
      values: new Map(Object.entries(options.arguments ?? {})),
      cacheDir,
      webRules: job.reach.web,
      tempDir: workDir,
      chooseAccelerator: async () => accelerator.kind,
      beforeFinish,
    },
    context,
  )
  await job.keepDocument('report', `${JSON.stringify(report, undefined, 2)}\n`)
  demandOk(report)
  return { report, ...found }
}

async function readGuest(
  { template, log }: Job,
  remote: Remote,
): Promise<Omit<GuestRecord, 'report'>> {
  const packages = await packagesOf(remote)
  if (packages === undefined) log.event('no package manager that Ingot knows is in the guest')
  if (template.icicleCommand === null) return { packages, extraLines: undefined }
  const argv = ['sh', '-c', template.icicleCommand]
  const output = await remote.runOk({ argv, timeoutMs: EXTRA_TIMEOUT_MS })
  return { packages, extraLines: output.replace(/\n$/, '').split('\n', MAX_EXTRA_LINES) }
}
