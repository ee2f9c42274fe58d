/**
 * The OS builder `bootstrap`: Debian or Ubuntu, put together on this host out of packages (`bootstrap/run-build.ts`), without
 * an installer, a virtual machine, or root. Of recipes with `base`, and of TDLs that name one of the two.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Failure } from '../../base/failure.ts'
import type { Remote } from '../../remotes/remote.ts'
import type { RunPhase } from '../bootstrap/phase-clock.ts'
import type { BuildResult } from '../bootstrap/run-build.ts'
import { demandOk } from '../demand-ok.ts'
import { toIcicle } from '../icicle.ts'
import { type BuiltImage, defineOsBuilder, type Job, type OsBuilder } from '../os-builder.ts'
import { type BootstrapOptions, bootstrapOptions } from './_bootstrap-options.ts'
import { toBootstrapPlan, whyNotBootstrap } from './_bootstrap-plan.ts'
import { checkSources } from './_check-sources.ts'

export interface BootstrapHost {
  /** Proxies of this host, for downloads: `http_proxy`, `no_proxy` and so on. */
  readonly proxies: Readonly<Record<string, string>>
  /** Of Ingot, for the records. */
  readonly version: string
}

/** Percentages between which each phase of the build lies. Source: measured, with a minimal system. */
const PHASES: Readonly<Record<string, readonly [from: number, to: number]>> = {
  packages: [0, 45],
  recipe: [45, 62],
  'boot loader': [62, 68],
  clean: [68, 72],
  disk: [72, 86],
  digest: [86, 90],
}
const EXTRA_TIMEOUT_MS = 15 * 60_000

export function bootstrapBuilder(host: BootstrapHost): OsBuilder<BootstrapOptions> {
  return defineOsBuilder<BootstrapOptions>({
    name: 'bootstrap',
    summary: 'Debian or Ubuntu out of packages, on this host: no installer, no virtual machine',
    options: bootstrapOptions,
    concurrency: 2,
    refuses: whyNotBootstrap,
    build: async (job) => await build(job, host),
  })
}

async function build(job: Job<BootstrapOptions>, host: BootstrapHost): Promise<BuiltImage> {
  const { template, options, workDir, cacheDir, reach } = job
  const { recipe, size, values } = toBootstrapPlan(template, options)
  await checkSources(recipe.base, reach)
  for (const { name, secret } of recipe.args) {
    const value = values.get(name)
    if (secret && value !== undefined) job.addSecret(value)
  }
  const output = join(workDir, `${fileNameOf(template.name)}.raw`)
  const extra: { lines: readonly string[] | undefined } = { lines: undefined }
  const { runBuild } = await import('../bootstrap/run-build.ts')
  const stopping = new AbortController()
  const result = await runBuild(
    recipe,
    {
      output,
      size,
      values,
      cacheDir,
      webRules: reach.web,
      uplink: reach.uplink,
      ...host,
      ...(options.step_timeout !== undefined && { commandTimeoutMs: options.step_timeout * 1000 }),
      runPhase: phasesOf(job, stopping),
      afterRecipe: async (remote) => {
        await setRootPassword(remote, template.install?.rootPassword ?? null)
        extra.lines = await readExtra(remote, template.icicleCommand)
      },
    },
    {
      ...job.context,
      signal: AbortSignal.any([job.context.signal, stopping.signal]),
      progress: (event) => {
        if (event.kind !== 'phase') job.context.progress(event) // the job tells its phases itself
      },
    },
  )
  await job.keepDocument('report', toText(result.report))
  demandOk(result.report)
  return await toBuilt(output, result, template.description, extra.lines)
}

/** Phases of the build as phases of the job. One that takes too long stops the build. */
function phasesOf(job: Job, stopping: AbortController): RunPhase {
  return async (name, detail, work) => {
    const [from, to] = PHASES[name] ?? [0, 0]
    return await job.phase({ name, from, to }, async ({ signal, tell }) => {
      const stop = () => stopping.abort(signal.reason)
      signal.addEventListener('abort', stop, { once: true })
      tell(0, detail === '' ? name : `${name}: ${detail}`)
      try {
        return await work()
      } finally {
        signal.removeEventListener('abort', stop)
      }
    })
  }
}

/** Installers set it by their answer file; here is none. */
async function setRootPassword(remote: Remote, password: string | null): Promise<void> {
  if (password === null) return
  if (/[\n\r]/.test(password))
    throw new Failure('TEMPLATE_INVALID', 'rootpw: a password has no line breaks')
  await remote.runOk({ argv: ['chpasswd'], input: `root:${password}\n` })
}

/** A line for each package, in their order; undefined: the template asks for none. */
async function readExtra(
  remote: Remote,
  command: string | null,
): Promise<readonly string[] | undefined> {
  if (command === null) return undefined
  const argv = ['sh', '-c', command]
  const output = await remote.runOk({ argv, timeoutMs: EXTRA_TIMEOUT_MS })
  return output.replace(/\n$/, '').split('\n')
}

async function toBuilt(
  output: string,
  { report, image, packages = [] }: BuildResult,
  description: string,
  extra: readonly string[] | undefined,
): Promise<BuiltImage> {
  if (image === undefined) throw new Error('a recipe that held has made no image')
  const { family } = report.facts
  return {
    body: { path: output, format: 'raw' },
    documents: {
      icicle: toIcicle(packages, { family, description, extra }),
      sbom: await readFile(image.sbomPath, 'utf8'),
      manifest: await readFile(image.manifestPath, 'utf8'),
      report: toText(report),
    },
  }
}

function toText(value: object): string {
  return `${JSON.stringify(value, undefined, 2)}\n`
}

/** A template's name may hold anything. */
function fileNameOf(name: string): string {
  return (
    name
      .replaceAll(/[^A-Za-z0-9._-]+/g, '-')
      .replace(/^[.-]+/, '')
      .slice(0, 100) || 'disk'
  )
}
