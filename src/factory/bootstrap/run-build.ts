/**
 * A build from beginning to end: the OS builder makes a tree, the recipe is carried out in it, it is
 * cleaned, becomes a disk, and is recorded. Image, manifest and bill of materials appear under their
 * names when all is done; whatever happens before that leaves nothing.
 */
import { mkdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Context } from '../../base/context.ts'
import { Failure } from '../../base/failure.ts'
import { findProgram, runTool } from '../../base/process.ts'
import { formatSize } from '../../base/units.ts'
import type { WebRules } from '../../bytes/web-request.ts'
import { type CleanReport, cleanAndLint } from '../../guests/clean.ts'
import type { InstalledPackage } from '../../guests/package-manager.ts'
import { packageManagerOf } from '../../guests/package-manager-of.ts'
import type { Recipe } from '../../recipes/recipe.ts'
import type { Report } from '../../recipes/report.ts'
import { runRecipe } from '../../recipes/run-recipe.ts'
import { makeNoSyncLauncher } from '../../remotes/no-sync.ts'
import { openRemote } from '../../remotes/open-remote.ts'
import type { Remote, RemoteDriver } from '../../remotes/remote.ts'
import { openTree } from '../../remotes/sandbox.ts'
import type { OpenUplink } from '../../remotes/uplink.ts'
import { findUserNamespace } from '../../remotes/user-namespace.ts'
import { type BootFiles, makeBootLoader } from './boot-loader.ts'
import { bootstrap } from './bootstrap.ts'
import { type BuildPlan, planBuild } from './build-plan.ts'
import { openBuildPlace, outputPathsOf, publish, syncFile } from './build-place.ts'
import { digestFile } from './digest-file.ts'
import { makeDisk } from './make-disk.ts'
import { type ImageFacts, toManifest } from './manifest.ts'
import type { BuiltOs } from './tree-builder.ts'
import { type Phase, PhaseClock, type RunPhase } from './phase-clock.ts'
import { toSbom } from './sbom.ts'
import { readToolVersions } from './tool-versions.ts'
import { countTree, readFileClock, removeTree, settleTree, type TreeCount } from './tree.ts'

export interface BuildOptions {
  /** Where the image goes; its ending says the format: `.qcow2`, or `.raw` or `.img`. */
  output: string
  /** Bytes of the disk, instead of what the recipe says. */
  size?: number | undefined
  /** Values given for the recipe's arguments, by name. */
  values: ReadonlyMap<string, string>
  /** Where downloads are kept between builds. */
  cacheDir: string
  /** Where this host asks for what steps name by `url`. Default: anywhere. */
  webRules?: WebRules
  /** How commands of the recipe get to the network. What makes the base is of the mirrors, and uses this host's own. */
  uplink: OpenUplink
  /** How long one command of a step may take. */
  commandTimeoutMs?: number
  /** Proxies of the caller: `http_proxy`, `no_proxy` and so on. */
  proxies?: Readonly<Record<string, string>>
  /** Version of Ingot, for the records. */
  version: string
  /** Called when the recipe has succeeded, before anything is made of the tree: for what no recipe says. */
  afterRecipe?: (remote: Remote) => Promise<void>
  /** Carries out each phase; left out: nobody but the context is told. */
  runPhase?: RunPhase
}

export interface BuildResult {
  /** What the recipe did. When it is not ok, there is no image. */
  report: Report
  image?: BuiltImage
  /** What is installed in it. */
  packages?: readonly InstalledPackage[]
}

export interface BuiltImage extends ImageFacts {
  path: string
  manifestPath: string
  sbomPath: string
  /** How many are installed. */
  packages: number
  phases: readonly Phase[]
}

/** What one build works with. */
interface Job {
  recipe: Recipe
  plan: BuildPlan
  options: BuildOptions
  tree: string
  scratch: string
  image: string
  /** Words that make the caller root of the tree; with `noSync` after them nothing waits for the disk. */
  namespace: readonly string[]
  noSync: readonly string[]
  clock: PhaseClock
  context: Context
}

/** What the guest says of itself when the recipe is through. */
interface Furnished {
  boot: BootFiles
  clean: CleanReport | undefined
  packages: readonly InstalledPackage[]
}

/**
 * Builds the image of a recipe. Works without root where the kernel gives user namespaces.
 * Fails with USAGE (no `base`, the output's ending), NEEDS_ROOT, TOOL_MISSING, IMAGE_BUSY, NO_SPACE,
 * BUILD_FAILED, DOWNLOAD_FAILED, CLEAN_LINT, INTERRUPTED, and as `runRecipe`.
 */
export async function runBuild(
  recipe: Recipe,
  options: BuildOptions,
  context: Context,
): Promise<BuildResult> {
  const plan = planBuild(recipe, options)
  const programs = programsOf(plan)
  demandPrograms(programs)
  const startedAt = context.now()
  const namespace = await findUserNamespace()
  await using place = await openBuildPlace(options.output, namespace)
  const scratch = join(place.path, 'scratch')
  await mkdir(scratch)
  const job: Job = {
    recipe,
    plan,
    options,
    tree: join(place.path, 'root'),
    scratch,
    image: join(place.path, 'image'),
    namespace,
    noSync: await makeNoSyncLauncher(scratch),
    clock: new PhaseClock(context, options.runPhase),
    context,
  }
  const began = await readFileClock(scratch)
  const os = await makeOs(job)
  const { report, furnished } = await furnish(job, os)
  if (furnished === undefined) return { report }
  const made = { os, report, ...furnished, ...(await makeImage(job, os, furnished.boot, began)) }
  const paths = outputPathsOf(options.output)
  await publish(place, job.image, paths, {
    manifest: toManifest({
      ...made,
      recipe,
      plan,
      tools: { ingot: options.version, ...(await readToolVersions(programs)) },
      startedAt,
      phases: job.clock.phases,
    }),
    sbom: toSbom({
      ...made,
      name: recipe.name,
      facts: report.facts,
      time: os.time,
      version: options.version,
    }),
  })
  const image = {
    ...made.image,
    path: paths.image,
    manifestPath: paths.manifest,
    sbomPath: paths.sbom,
    packages: made.packages.length,
    phases: job.clock.phases,
  }
  return { report, image, packages: made.packages }
}

async function makeOs(job: Job): Promise<BuiltOs> {
  const { plan, options, context } = job
  const { distro, release } = plan.base
  return await job.clock.run('packages', `${distro} ${release}`, () =>
    bootstrap.build(
      plan.base,
      {
        root: job.tree,
        scratch: job.scratch,
        cacheDir: options.cacheDir,
        launcher: [...job.namespace, ...job.noSync],
        identity: plan.identity,
        fileSystem: plan.fileSystem,
        proxies: options.proxies ?? {},
      },
      context,
    ),
  )
}

/** Carries the recipe out in the tree, then makes the boot loader and cleans. */
async function furnish(
  job: Job,
  os: BuiltOs,
): Promise<{ report: Report; furnished: Furnished | undefined }> {
  const { recipe, plan, options, clock, context, namespace, noSync: launcher } = job
  const scratch = join(job.scratch, 'sandbox')
  await mkdir(scratch)
  const driver = await openTree(
    { root: job.tree, network: options.uplink, scratch, userNamespace: namespace, launcher },
    context,
  )
  const environment = {
    ...os.environment,
    SOURCE_DATE_EPOCH: String(os.time.getTime() / 1000),
  }
  await using remote = openRemote(withEnvironment(driver, recipe.name, environment), context)
  const report = await clock.run('recipe', recipe.name, () =>
    runRecipe(recipe, remote, { ...options, mode: 'reconcile' }, context),
  )
  if (!report.ok) return { report, furnished: undefined }
  await options.afterRecipe?.(remote)
  const boot = await clock.run('boot loader', plan.boot.join(' and '), () =>
    makeBootLoader(remote, plan.boot, plan.identity, plan.fileSystem),
  )
  const clean = await clock.run('clean', 'what machines must not share', async () => {
    await os.keep()
    for (const path of os.temporaryFiles) await remote.remove(path)
    if (recipe.clean?.enabled === false) return undefined
    return await cleanAndLint(remote, recipe.clean ?? {}, context)
  })
  const packages = await packageManagerOf(report.facts).readInstalled(remote)
  await remote.finish()
  return { report, furnished: { boot, clean, packages } }
}

/** Makes the disk of the tree, in the format that was asked for, and removes the tree. */
async function makeImage(
  job: Job,
  os: BuiltOs,
  boot: BootFiles,
  began: Date,
): Promise<{ content: TreeCount; image: ImageFacts }> {
  const { plan, tree, scratch, namespace: launcher, clock, context, options } = job
  const { fileSystem: type, diskSize, identity, format } = plan
  const { time } = os
  const disk = format === 'raw' ? job.image : join(scratch, 'disk.raw')
  const content = await clock.run('disk', `${formatSize(diskSize)}, ${type}`, async () => {
    await settleTree(tree, { began, time, launcher }, context)
    const counted = await countTree(tree, launcher, context)
    await makeDisk({ type, tree, disk, diskSize, boot, identity, time, launcher, scratch }, context)
    return counted
  })
  const removal = removeTree(tree, launcher)
  removal.catch(() => {}) // it is waited for below; a failure before that is the one to tell
  if (format !== 'raw')
    await clock.run('convert', format, async () => {
      const argv = ['qemu-img', 'convert', '-f', 'raw', '-O', format, disk, job.image]
      await runTool(argv, { signal: context.signal })
    })
  const [digests] = await clock.run('digest', basename(options.output), () =>
    Promise.all([digestFile(job.image, context), syncFile(job.image), removal]),
  )
  const image: ImageFacts = {
    file: basename(options.output),
    format,
    size: (await stat(job.image)).size,
    virtualSize: diskSize,
    ...digests,
    reproducible: type === 'ext4',
  }
  return { content, image }
}

/** The driver under another name, its commands with more environment. */
function withEnvironment(
  driver: RemoteDriver,
  name: string,
  environment: Readonly<Record<string, string>>,
): RemoteDriver {
  return {
    ...driver,
    name,
    run: async (command) => {
      if (!driver.run) throw new Failure('REMOTE_CANNOT', `${name} runs no commands`)
      return await driver.run({ ...command, env: { ...environment, ...command.env } })
    },
  }
}

function programsOf({ fileSystem, format }: BuildPlan): string[] {
  const makers = { ext4: 'mke2fs', btrfs: 'mkfs.btrfs', xfs: 'guestfish' }
  return [...bootstrap.programs, makers[fileSystem], ...(format === 'qcow2' ? ['qemu-img'] : [])]
}

/** Fails with TOOL_MISSING, naming all that are missing. */
function demandPrograms(programs: readonly string[]): void {
  const missing = programs.filter((program) => findProgram(program) === undefined)
  if (missing.length > 0)
    throw new Failure('TOOL_MISSING', `not installed, but needed to build: ${missing.join(', ')}`, {
      details: { programs: missing },
    })
}
