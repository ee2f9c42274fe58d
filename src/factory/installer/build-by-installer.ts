/** A build by an installer, from its media to an image. */
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { asFileFailure } from '../../base/failure.ts'
import { formatSize } from '../../base/units.ts'
import { type Accelerator, chooseAccelerator } from '../../machines/accelerator.ts'
import { requireFirmware } from '../../machines/firmware.ts'
import type { MachineOptions } from '../../machines/machine.ts'
import { toIcicle } from '../icicle.ts'
import type { BuiltImage, Job } from '../os-builder.ts'
import { customiseOffline, type GuestRecord, hasWork } from './customise-offline.ts'
import { customiseOnline, type GuestKey, letKeyIn, makeGuestKey } from './customise-online.ts'
import { type GatheredMedia, gatherMedia } from './gather-media.ts'
import type { InstallerOptions } from './installer-options.ts'
import { useJeosCache } from './jeos-cache.ts'
import { type Installation, planInstallation } from './plan-install.ts'
import { runInstall } from './run-install.ts'
import { toWatchLimits } from './watch-limits.ts'

/** Fails with INSTALL_FAILED, MACHINE_FAILED, DOWNLOAD_FAILED, DIGEST_MISMATCH, PHASE_TIMEOUT, and as customising does. */
export async function buildByInstaller(job: Job<InstallerOptions>): Promise<BuiltImage> {
  const { options, template, workDir } = job
  const isOnline = options.customize === 'online' && hasWork(job, options)
  const key = isOnline ? await makeGuestKey(workDir) : undefined
  // A disk that others may get is installed without anybody's key.
  const isOwn = options.use_jeos_cache !== true && options.install_script === undefined
  const authorizedKey = isOwn ? key?.publicKey : undefined
  const plan = planInstallation({ template, options, authorizedKey })
  for (const secret of plan.secrets) job.addSecret(secret)
  const media = await job.phase({ name: 'fetching media', from: 0, to: 10 }, async (scene) => {
    const context = { ...job.context, signal: scene.signal }
    const tell = (what: string) => job.log.event(what)
    const directory = join(job.cacheDir, 'media')
    return await gatherMedia(plan, options, workDir, {
      context,
      directory,
      reach: job.reach,
      tell,
    })
  })
  const accelerator = await chooseAccelerator(options.accelerator ?? 'auto', job, job.context)
  job.log.event(
    `installing ${plan.system.name} by ${plan.answer.way}, ${accelerator.kind}: ${accelerator.reason}`,
  )
  const machine = await toMachine(job, plan, accelerator)
  await install(job, plan, media, machine)
  const record = await customise(job, machine, accelerator, authorizedKey === undefined, key)
  return toBuilt(job, record)
}

/** The machine that has the disk; installer and installed system run on the same. */
async function toMachine(
  { workDir, reach }: Job<InstallerOptions>,
  { firmware, memory, cpus, nic, bus, ...plan }: Installation,
  accelerator: Accelerator,
): Promise<MachineOptions & { readonly target: NonNullable<MachineOptions['target']> }> {
  const network = plan.network === 'isolated' ? plan.network : reach.uplink
  const machine = { accelerator, memory, cpus, network, nic, tempDir: workDir }
  const target = { path: join(workDir, 'disk.raw'), bus }
  if (firmware === 'bios') return { ...machine, target, firmware }
  // The boot entry that the installer makes is kept for the system that it installs.
  const variables = join(workDir, 'variables.fd')
  return { ...machine, target, firmware: await requireFirmware(), variables }
}

async function install(
  job: Job<InstallerOptions>,
  plan: Installation,
  media: GatheredMedia,
  machine: Awaited<ReturnType<typeof toMachine>>,
): Promise<void> {
  const { options, context } = job
  const { kind } = machine.accelerator
  const limits = toWatchLimits(options.timeouts ?? {}, kind)
  const { files, cdroms, kernel, floppy } = media
  const isWindows = plan.system.answer === 'unattend'
  const run = async () => {
    await makeDisk(machine.target.path, plan.diskSize)
    job.log.event(`a disk of ${formatSize(plan.diskSize)}`)
    await job.phase({ name: 'running the installer', from: 10, to: 60 }, async (scene) => {
      const boot = { cdroms, ...(kernel && { kernel }), ...(floppy !== undefined && { floppy }) }
      const pressKeys = isWindows && plan.firmware === 'uefi'
      await runInstall(
        { machine: { ...machine, ...boot }, limits, files, mayReset: isWindows, pressKeys },
        { job, ...scene },
      )
    })
  }
  if (options.use_jeos_cache !== true) return await run()
  const directory = join(job.cacheDir, 'jeos')
  const inputs = [plan.key, ...media.digests]
  const wasKept = await useJeosCache({ inputs, directory, path: machine.target.path, context }, run)
  job.log.event(
    wasKept ? 'the installed disk was kept from an earlier build' : 'the installed disk is kept',
  )
}

/** An empty disk, all hole. */
async function makeDisk(path: string, size: number): Promise<void> {
  try {
    await using file = await open(path, 'w', 0o600)
    await file.truncate(size)
  } catch (error) {
    throw asFileFailure(error, path)
  }
}

async function customise(
  job: Job<InstallerOptions>,
  machine: Awaited<ReturnType<typeof toMachine>>,
  accelerator: Accelerator,
  mustInject: boolean,
  key: GuestKey | undefined,
): Promise<GuestRecord> {
  const { options } = job
  const nothing = { report: undefined, packages: undefined, extraLines: undefined }
  if (!hasWork(job, options)) return nothing
  const { path } = machine.target
  if (key === undefined)
    return await job.phase(
      { name: 'carrying out the template', from: 60, to: 90 },
      async (scene) => await customiseOffline(job, path, accelerator, scene),
    )
  const seed = mustInject
    ? await job.phase({ name: 'letting a key in', from: 60, to: 65 }, ({ signal }) =>
        letKeyIn(job, path, key, accelerator, signal),
      )
    : {}
  const limits = toWatchLimits(options.timeouts ?? {}, accelerator.kind)
  return await customiseOnline(job, {
    machine: { ...machine, ...seed },
    key,
    limits,
    from: 65,
    to: 90,
  })
}

function toBuilt(job: Job<InstallerOptions>, record: GuestRecord): BuiltImage {
  const { packages, extraLines: extra } = record
  const { template, options, workDir } = job
  const description = template.description
  const isWanted = options.generate_icicle !== false
  // Without packages it is an empty record, as Image Factory has it; else the engine would look for some.
  const icicle = isWanted
    ? packages && toIcicle(packages, { family: familyOf(record), description, extra })
    : toIcicle([], { description })
  return {
    body: { path: join(workDir, 'disk.raw'), format: 'raw' },
    ...(icicle !== undefined && { documents: { icicle } }),
  }
}

function familyOf({ report }: GuestRecord) {
  return report?.facts.family
}
