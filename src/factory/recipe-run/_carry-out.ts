/** The work of a run: what was ordered, from its beginning to its end. */
import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Context, ProgressEvent } from '../../base/context.ts'
import { Failure, isFailure } from '../../base/failure.ts'
import { probeAccelerator } from '../../machines/accelerator.ts'
import { checkImage } from '../../recipes/image-run.ts'
import { leavesOf, type Report } from '../../recipes/report.ts'
import { type Host, runOnHosts } from '../../recipes/run-on-hosts.ts'
import { runRecipe } from '../../recipes/run-recipe.ts'
import type { Mode } from '../../recipes/validator.ts'
import { openRemote } from '../../remotes/open-remote.ts'
import { openReadImage } from '../../remotes/read-image.ts'
import { openSsh } from '../../remotes/ssh.ts'
import { keepFacts } from '../body/_guest-facts.ts'
import { copyBody } from '../body/copy-body.ts'
import { fitBody } from '../body/fit-body.ts'
import { openBody } from '../body/open-body.ts'
import { READ_LIMIT_MS } from '../body/read-packages.ts'
import { storeBody } from '../body/store-body.ts'
import { OWNERS_REACH } from '../reach.ts'
import type { Template } from '../template.ts'
import type { RecipeRunsParts } from './_run-parts.ts'
import type { RunRow } from './_run-table.ts'
import type { KeptOrder } from './_sealed-order.ts'

/** A run under way. */
export interface Work {
  readonly parts: RecipeRunsParts
  readonly row: RunRow
  readonly order: KeptOrder
  readonly template: Template
  /** Its own, and nobody else may look into it. */
  readonly workDir: string
  readonly context: Context
  /** Told of each report as it comes. */
  readonly onReport: (report: Report) => void
}

/** Hosts that are worked on at a time. */
const HOSTS_AT_ONCE = 8
const DEFAULT_COMMAND_TIMEOUT_MS = 30 * 60_000

/**
 * The reports, one for each target. Fails with STEP_FAILED when the image could not be packed; and as `fitBody`, `checkImage`,
 * `storeBody` do. What goes wrong with a host stands in its report.
 */
export async function carryOut(work: Work): Promise<readonly Report[]> {
  if (work.order.login !== undefined) return await runOverSsh(work, work.order.login)
  return [await (work.row.kind === 'pack' ? pack(work) : validateImage(work))]
}

function runOptions({ order, parts }: Work) {
  return {
    values: new Map(Object.entries(order.args)),
    cacheDir: parts.cacheDirectory,
    webRules: (order.byOwner === true ? OWNERS_REACH : parts.reach).web,
    commandTimeoutMs: order.commandTimeoutMs ?? DEFAULT_COMMAND_TIMEOUT_MS,
  }
}

async function pack(work: Work): Promise<Report> {
  const { parts, row, order, template, workDir, context } = work
  const { trusted = false, clean = true, name, rootFileSystem } = order.image ?? {}
  const imageId = row.image_id ?? ''
  const newImageId = row.new_image_id ?? ''
  const source = await parts.catalog.get(imageId)
  if (source === undefined)
    throw new Failure('IMAGE_NOT_FOUND', `image ${imageId} was deleted meanwhile`)
  const { path, format, report, facts } = await fitBody(
    parts,
    {
      ...runOptions(work),
      imageId,
      recipe: template.recipe,
      trusted,
      clean,
      rootFileSystem,
      workDir,
      uplink: parts.reach.uplink,
      onReport: work.onReport,
    },
    context,
  )
  const requester = { owner: row.owner, userId: row.user_id, requestId: row.request_id }
  await storeBody(parts, {
    imageId: newImageId,
    name: name ?? template.name,
    path,
    format,
    requester,
    like: source,
    properties: source.properties,
    signal: context.signal,
  })
  await keepFacts(parts, newImageId, facts)
  return report
}

/** Read where it stands if that answers everything; else in a copy, by commands. */
async function validateImage(work: Work): Promise<Report> {
  const { parts, row, order, template, workDir, context } = work
  const { trusted = false, rootFileSystem } = order.image ?? {}
  await using body = await openBody(parts, row.image_id ?? '', context.signal)
  const told: ProgressEvent[] = []
  const read = await readImage(work, body.source, {
    ...context,
    progress: (event) => void told.push(event),
  })
  if (read !== undefined) {
    told.forEach(context.progress)
    work.onReport(read)
    return read
  }
  const path = join(workDir, 'disk.raw')
  context.progress({ kind: 'phase', name: 'copy', detail: `image ${body.image.id}` })
  await copyBody(body, path, { signal: context.signal })
  const { cacheDirectory: cacheDir } = parts
  const report = await checkImage(
    template.recipe,
    {
      ...runOptions(work),
      path,
      format: 'raw',
      via: trusted ? 'sandbox' : 'appliance',
      trusted,
      network: parts.reach.uplink,
      tempDir: workDir,
      chooseAccelerator: async () => (await probeAccelerator({ cacheDir }, context)).kind,
      ...(rootFileSystem !== undefined && { rootFileSystem }),
    },
    context,
  )
  work.onReport(report)
  return report
}

/** Undefined when reading files does not answer it. */
async function readImage(
  work: Work,
  source: Awaited<ReturnType<typeof openBody>>['source'],
  context: Context,
): Promise<Report | undefined> {
  const { row, order, template } = work
  const rootFileSystem = order.image?.rootFileSystem
  try {
    const path = `image ${row.image_id}`
    const limitMs = READ_LIMIT_MS
    const options = { path, source, format: 'raw', rootFileSystem, limitMs } as const
    const driver = await openReadImage(options, context)
    await using remote = openRemote(driver, context)
    const report = await runRecipe(
      template.recipe,
      remote,
      { ...runOptions(work), mode: 'test-only' },
      context,
    )
    return leavesOf(report.verdicts).some(({ status }) => status === 'unknown') ? undefined : report
  } catch (error) {
    if (isFailure(error, 'FILE_SYSTEM_UNSUPPORTED') || isFailure(error, 'FILE_SYSTEM_DIRTY'))
      return undefined
    throw error
  }
}

/**
 * Nothing of this server's own SSH configuration is used, nor its keys or agent: hosts are named by whoever asks, and so
 * are the keys by which both sides prove themselves.
 */
const OF_ORDER_ONLY: readonly string[] = [
  'StrictHostKeyChecking=yes',
  'GlobalKnownHostsFile=/dev/null',
  'UpdateHostKeys=no',
  'VerifyHostKeyDNS=no',
  'IdentityAgent=none',
  'PreferredAuthentications=publickey',
]

async function runOverSsh(
  work: Work,
  { destinations, privateKey, knownHosts, sudo }: NonNullable<KeptOrder['login']>,
): Promise<Report[]> {
  const { row, template, workDir, context } = work
  const identityFile = await writeSecret(join(workDir, 'key'), privateKey)
  const knownHostsFile = await writeSecret(join(workDir, 'known_hosts'), knownHosts)
  const hosts = destinations.map((destination): Host => {
    const files = { configFile: '/dev/null', identityFile, knownHostsFile }
    const options = { destination, become: sudo, ...files, extra: OF_ORDER_ONLY }
    return { name: destination, via: 'ssh', open: async (given) => await openSsh(options, given) }
  })
  const mode: Mode = row.kind === 'provision' ? 'reconcile' : 'test-only'
  const options = { ...runOptions(work), mode, jobs: HOSTS_AT_ONCE, onReport: work.onReport }
  return await runOnHosts(template.recipe, hosts, options, context)
}

async function writeSecret(path: string, text: string): Promise<string> {
  await writeFile(path, text.endsWith('\n') ? text : `${text}\n`, { mode: 0o600, flag: 'wx' })
  await chmod(path, 0o600)
  return path
}
