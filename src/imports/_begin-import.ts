import { Failure } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import type { Tx } from '../database/database.ts'
import type { Limits } from '../access/quotas.ts'
import type { Image } from '../images/image.ts'
import { findSigner } from '../images/signature.ts'
import type { Task } from '../tasks/task.ts'
import { checkParameters, checkState, chooseStores } from './_check-import.ts'
import { IMAGE_IMPORT, OLD_IMPORT, type ImportJob, toInput } from './_import-job.ts'
import type { ImportRequest } from './imports.ts'
import { locked } from './_lock.ts'
import type { ImportMethod } from './method.ts'
import type { ImportGround } from './_run-import.ts'
import { SECRET } from './_secret.ts'
import { keepSigner } from './_signer.ts'

/** See `Imports.begin`. */
export async function beginImport(
  ground: ImportGround,
  image: Image,
  request: ImportRequest,
): Promise<Task | undefined> {
  const { offered, stores, quotas, database, ledger, catalog, context } = ground
  const method = offered.get(request.method)
  if (method === undefined)
    throw new Failure('REQUEST_INVALID', `Unknown import method name '${request.method}'.`, {
      details: { methods: [...offered.keys()] },
    })
  checkState(image, method)
  checkParameters(method, request.parameters)
  const { caller, parameters, asTask } = request
  const chosen = chooseStores(image, method, request, stores)
  if (chosen.length === 0) return undefined
  const secret = await method.check?.({ parameters, image, caller }, ground.scene)
  const isArriving = method.from === 'queued'
  const signer = isArriving
    ? await findSigner(image.properties, caller, ground.findCertificate)
    : undefined
  const limits = quotas.active ? await quotas.limits(image.owner) : {}
  const job: ImportJob = {
    imageId: image.id,
    method: method.name,
    parameters,
    stores: chosen,
    allStores: request.allStores,
    allMustSucceed: request.allMustSucceed,
    roles: caller.roles,
  }
  const id = context.newId()
  const task = await database.write(async (tx) => {
    const now = await catalog.get(image.id, tx)
    if (now === undefined)
      throw new Failure('IMAGE_NOT_FOUND', `no image ${image.id}`, { details: { id: image.id } })
    const { projectId: owner, userId, requestId } = caller
    const added = await ledger.add(tx, {
      id,
      type: asTask === undefined ? IMAGE_IMPORT : OLD_IMPORT,
      owner,
      userId,
      requestId,
      subject: image.id,
      input: { ...toInput(job), ...asTask },
    })
    checkState(now, method)
    await checkQuotas(ground, tx, now, method, chosen.length, limits)
    await catalog.update(tx, image.id, {
      ...(method.from !== 'active' && { status: 'importing', locations: [] }),
      properties: locked(now.properties, id, { importing: chosen, failed: [] }),
    })
    if (secret !== undefined)
      await catalog.writeAttachment(tx, image.id, SECRET, Buffer.from(secret))
    if (signer !== undefined) await keepSigner(catalog, tx, image.id, signer)
    return added
  })
  await ground.offer(id)
  context.log.info('import.begun', { imageId: image.id, method: method.name, taskId: id })
  return task
}

/** What is known before the data is there. Fails with QUOTA_EXCEEDED. */
async function checkQuotas(
  { quotas, catalog }: ImportGround,
  tx: Tx,
  image: Image,
  { from }: ImportMethod,
  copies: number,
  limits: Limits,
): Promise<void> {
  if (!quotas.active) return
  const { size, uploading } = await catalog.usage(image.owner, tx)
  const adds = from === 'active' ? (copies * (image.size ?? 0)) / MiB : 0
  quotas.check(limits, 'image_size_total', size / MiB, adds, tx)
  if (from === 'queued') quotas.check(limits, 'image_count_uploading', uploading, 1, tx)
}
