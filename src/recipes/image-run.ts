/** A recipe on an image file: checked, or changed entirely or not at all. */
import { constants } from 'node:fs'
import { access, open, realpath, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import type { Context, ProgressEvent } from '../base/context.ts'
import { asFileFailure, Failure, isFailure, systemCode } from '../base/failure.ts'
import { findWorkingFiles, removeLeftovers, workingPath } from '../base/leftovers.ts'
import { runProcess } from '../base/process.ts'
import { openImage, WORK_FORMATS } from '../formats/open-image.ts'
import {
  demandTrust,
  type ImageOptions,
  type ImageVia,
  openImageRemote,
  viaForCommands,
  WAYS,
} from '../remotes/open-image.ts'
import type { Remote } from '../remotes/remote.ts'
import type { Recipe } from './recipe.ts'
import { leavesOf, type Report } from './report.ts'
import { runRecipe, type RunRecipeOptions } from './run-recipe.ts'

export interface ImageRunOptions
  extends Omit<ImageOptions, 'via' | 'access' | 'accelerator'>, Omit<RunRecipeOptions, 'mode'> {
  /** `auto`: the cheapest way that is safe for the image and answers everything. */
  via: 'auto' | ImageVia
  /** The user vouches for the image, so this host may mount it and run its programs. */
  trusted: boolean
  /** Which accelerator the appliance runs by; asked only if it is needed. */
  chooseAccelerator: () => Promise<'kvm' | 'tcg'>
}

/**
 * Checks an image against a recipe; the file is not touched. In `auto`, it is read without running
 * anything of it; only if a step cannot be answered so, commands run in it: in the sandbox if the
 * user vouches for it, else in the appliance.
 * Fails as `openImageRemote` and `runRecipe`.
 */
export async function checkImage(
  recipe: Recipe,
  options: ImageRunOptions,
  context: Context,
): Promise<Report> {
  const check = async (via: ImageVia, telling: Context = context): Promise<Report> => {
    await using remote = await openFor(via, 'check', options.path, options, telling)
    return await runRecipe(recipe, remote, { ...options, mode: 'test-only' }, telling)
  }
  if (options.via !== 'auto') return await check(demandTrust(options.via, options.trusted))
  try {
    const told: ProgressEvent[] = []
    const report = await check('read', { ...context, progress: (event) => void told.push(event) })
    if (!leavesOf(report.verdicts).some(({ status }) => status === 'unknown')) {
      told.forEach(context.progress)
      return report
    }
    context.progress({
      kind: 'phase',
      name: 'check with commands',
      detail: 'some steps need a command in the guest',
    })
  } catch (error) {
    if (!isFailure(error, 'FILE_SYSTEM_UNSUPPORTED') && !isFailure(error, 'FILE_SYSTEM_DIRTY'))
      throw error
    context.progress({ kind: 'phase', name: 'check with commands', detail: error.message })
  }
  return await check(viaForCommands(options.trusted))
}

export interface PackOptions extends ImageRunOptions {
  /** Work on the image itself, for those who have no room for a copy. */
  inPlace: boolean
  /**
   * Called after the recipe has succeeded, before the image is closed: clean-up. Says whether it
   * changed anything; throws to give up.
   */
  beforeFinish?: (remote: Remote) => Promise<boolean>
}

/**
 * Brings an image to the state of a recipe. The work is done on a copy, which replaces the image
 * when all has succeeded; a run that fails or is killed leaves the image byte for byte as it was.
 * An image on which every step held already is not written at all.
 * Fails with IMAGE_NOT_FOUND, IMAGE_READ_ONLY, IMAGE_BUSY, NO_SPACE, NEEDS_TRUST, and as `checkImage`.
 */
export async function packImage(
  recipe: Recipe,
  options: PackOptions,
  context: Context,
): Promise<Report> {
  const image = await findWritableImage(options.path)
  await removeLeftovers(image)
  const via =
    options.via === 'auto'
      ? viaForCommands(options.trusted)
      : demandTrust(options.via, options.trusted)
  if (via === 'read')
    throw new Failure('USAGE', 'an image cannot be changed by reading it', {
      fix: 'Use --via appliance, or --via sandbox for an image you trust.',
    })
  await look(options)
  // In place, the working file is only the sign that somebody is at work.
  const working = workingPath(image, options.inPlace ? 'lock' : 'copy')
  try {
    await (await open(working, 'w')).close()
    const other = (await findWorkingFiles(image)).find(
      ({ path, alive }) => alive && path !== working,
    )
    if (other)
      throw new Failure('IMAGE_BUSY', `${options.path}: the process ${other.pid} is packing it`, {
        details: { path: options.path, pid: other.pid },
      })
    if (options.inPlace) return (await pack(recipe, image, via, options, context)).report
    await copyImage(image, working, context)
    const { report, changed } = await pack(recipe, working, via, options, context)
    if (changed) await publish(working, image)
    return report
  } finally {
    await rm(working, { force: true })
  }
}

async function pack(
  recipe: Recipe,
  path: string,
  via: ImageVia,
  options: PackOptions,
  context: Context,
): Promise<{ report: Report; changed: boolean }> {
  await using remote = await openFor(via, 'change', path, options, context)
  context.progress({ kind: 'phase', name: 'recipe', detail: recipe.name })
  const report = await runRecipe(recipe, remote, { ...options, mode: 'reconcile' }, context)
  if (!report.ok) return { report, changed: false }
  const cleaned = (await options.beforeFinish?.(remote)) ?? false
  const changed = cleaned || leavesOf(report.verdicts).some(({ status }) => status === 'changed')
  if (changed) {
    context.progress({ kind: 'phase', name: 'finish', detail: 'write everything back' })
    await remote.finish()
  }
  return { report, changed }
}

async function openFor(
  via: ImageVia,
  access: 'check' | 'change',
  path: string,
  options: ImageRunOptions,
  context: Context,
): Promise<Remote> {
  const accelerator = via === 'appliance' ? await options.chooseAccelerator() : 'tcg'
  context.progress({
    kind: 'phase',
    name: 'open',
    detail: `${options.path} ${WAYS[via]}${via === 'appliance' && accelerator === 'tcg' ? ' (emulated: this takes a while)' : ''}`,
  })
  return await openImageRemote(
    { ...options, path, name: basename(options.path), via, access, accelerator },
    context,
  )
}

/** The image itself, links followed; refuses what could not be replaced in the end. */
async function findWritableImage(path: string): Promise<string> {
  try {
    const image = await realpath(path)
    const found = await stat(image)
    if (!found.isFile())
      throw new Failure('IMAGE_UNREADABLE', `${path} is not a file`, { details: { path } })
    await access(image, constants.R_OK)
    if ((found.mode & 0o222) === 0)
      throw new Failure('IMAGE_READ_ONLY', `${path} is marked read-only`, {
        details: { path },
        fix: `Run \`chmod u+w ${path}\`, or pack a copy.`,
      })
    await access(image, constants.W_OK)
    await access(dirname(image), constants.W_OK)
    return image
  } catch (error) {
    if (systemCode(error) === 'ENOENT')
      throw new Failure('IMAGE_NOT_FOUND', `no image ${path}`, { details: { path }, cause: error })
    if (systemCode(error) === 'EROFS' || systemCode(error) === 'EACCES')
      throw new Failure('IMAGE_READ_ONLY', `${path} cannot be written`, {
        details: { path },
        cause: error,
      })
    throw asFileFailure(error, path)
  }
}

/** Refuses what is no image, or no safe one, before it is copied. */
async function look({ path, format }: ImageRunOptions): Promise<void> {
  const image = await openImage(path, { format, among: WORK_FORMATS })
  await image[Symbol.asyncDispose]()
}

/** A copy that shares blocks where the file system can and keeps holes where it cannot. */
async function copyImage(image: string, copy: string, context: Context): Promise<void> {
  context.progress({ kind: 'phase', name: 'copy', detail: image })
  const result = await runProcess(
    ['cp', '--reflink=auto', '--sparse=auto', '--preserve=mode,ownership,xattr', '--', image, copy],
    { signal: context.signal },
  )
  if (result.code === 0) return
  const reason = result.stderr.toString().trim()
  if (/No space left|Disk quota exceeded/.test(reason))
    throw new Failure('NO_SPACE', `cannot copy ${image}: ${reason}`, {
      fix: 'Free some space on that disk, or use --in-place.',
    })
  throw new Failure('FILE_UNREADABLE', `cannot copy ${image}: ${reason}`)
}

/** Puts the finished copy in the image's place, in one step and for good. */
async function publish(copy: string, image: string): Promise<void> {
  for (const [path, move] of [
    [copy, true],
    [dirname(image), false],
  ] as const) {
    await using file = await open(path, 'r')
    await file.sync()
    if (move) await rename(copy, image)
  }
}
