import { join } from 'node:path'
import type { Context } from '../../base/context.ts'
import type { WebRules } from '../../bytes/web-request.ts'
import { cleanGuest } from '../../guests/clean.ts'
import type { InstalledPackage } from '../../guests/package-manager.ts'
import { probeAccelerator } from '../../machines/accelerator.ts'
import { packImage } from '../../recipes/image-run.ts'
import type { Recipe } from '../../recipes/recipe.ts'
import type { Report } from '../../recipes/report.ts'
import type { Facts } from '../../remotes/facts.ts'
import type { Remote } from '../../remotes/remote.ts'
import type { OpenUplink } from '../../remotes/uplink.ts'
import { demandOk } from '../demand-ok.ts'
import type { BodyParts } from './body.ts'
import { copyBody } from './copy-body.ts'
import { openBody } from './open-body.ts'
import { packagesOf } from './read-packages.ts'

export interface FitOrder {
  /** Of the image of the catalog whose disk is taken; it stays as it is. */
  readonly imageId: string
  readonly recipe: Recipe
  /** Values of the recipe's arguments, by name. */
  readonly values: ReadonlyMap<string, string>
  /** Somebody vouches for the image, so that this host may mount it: the sandbox, which is quicker; else the appliance. */
  readonly trusted: boolean
  /** Whether what machines must not share is taken out at the end; the recipe's `clean` says what stays. Default yes. */
  readonly clean?: boolean | undefined
  /** Device of the root file system, when there is more than one: `/dev/sda2`. */
  readonly rootFileSystem?: string | undefined
  readonly commandTimeoutMs?: number | undefined
  /** The copy is made here, and belongs to the caller. */
  readonly workDir: string
  readonly cacheDir: string
  /** Where this host asks for what the recipe names by `url`. */
  readonly webRules: WebRules
  /** How commands in the image get to the network. */
  readonly uplink: OpenUplink
  /** Told what the recipe did, of one that failed too. */
  readonly onReport?: ((report: Report) => Promise<void> | void) | undefined
}

export interface FittedBody {
  /** The disk, in `workDir`. */
  readonly path: string
  readonly format: 'raw'
  readonly report: Report
  readonly facts: Facts
  /** Undefined where Ingot does not know the guest's package manager. */
  readonly packages: readonly InstalledPackage[] | undefined
}

/**
 * Takes a body out of its store and carries a recipe out in it. Tells progress through the context: `phase`, `step` and
 * `output` as packing does, `bytes` of the copy.
 * Fails with STEP_FAILED (the report says more), ARGUMENT_INVALID, NO_OPERATING_SYSTEM, SEVERAL_OPERATING_SYSTEMS, NO_SPACE,
 * TOOL_MISSING, MACHINE_FAILED, INTERRUPTED, and as `openBody` does.
 */
export async function fitBody(
  parts: Pick<BodyParts, 'catalog' | 'content' | 'context'>,
  order: FitOrder,
  context: Context,
): Promise<FittedBody> {
  const { imageId, recipe, workDir, cacheDir } = order
  const path = join(workDir, 'disk.raw')
  context.progress({ kind: 'phase', name: 'copy', detail: `image ${imageId}` })
  await copyOut(parts, imageId, path, context)
  let packages: readonly InstalledPackage[] | undefined
  const beforeFinish = async (remote: Remote): Promise<boolean> => {
    packages = await packagesOf(remote)
    if (order.clean === false || recipe.clean?.enabled === false) return false
    const { tasks } = await cleanGuest(remote, recipe.clean ?? {}, context)
    return tasks.some(({ paths }) => paths.length > 0)
  }
  const report = await packImage(
    recipe,
    {
      path,
      format: 'raw',
      inPlace: true,
      via: 'auto',
      trusted: order.trusted,
      network: order.uplink,
      values: order.values,
      cacheDir,
      webRules: order.webRules,
      tempDir: workDir,
      chooseAccelerator: async () => (await probeAccelerator({ cacheDir }, context)).kind,
      beforeFinish,
      ...(order.commandTimeoutMs !== undefined && { commandTimeoutMs: order.commandTimeoutMs }),
      ...(order.rootFileSystem !== undefined && { rootFileSystem: order.rootFileSystem }),
    },
    context,
  )
  await order.onReport?.(report)
  demandOk(report)
  return { path, format: 'raw', report, facts: report.facts, packages }
}

async function copyOut(
  parts: Pick<BodyParts, 'catalog' | 'content' | 'context'>,
  imageId: string,
  path: string,
  { signal, progress }: Context,
): Promise<void> {
  await using body = await openBody(parts, imageId, signal)
  const { size } = body.map
  const tell = (fraction: number) =>
    progress({ kind: 'bytes', name: 'copy', done: Math.round(fraction * size), total: size })
  await copyBody(body, path, { signal, tell })
}
