/**
 * A machine by an import lease: vSphere makes of the descriptor what it can, opens a lease, takes the disk, closes it.
 * Source: VMware, vSphere Web Services API: OvfManager, ResourcePool.ImportVApp, HttpNfcLease.
 */
import type { Element } from '@xmldom/xmldom'
import { Failure } from '../../base/failure.ts'
import type { CloudHttp } from '../../clouds/cloud-http.ts'
import {
  childOf,
  childrenOf,
  escapeXml,
  field,
  innerXml,
  type ManagedThing,
  reference,
  textOf,
  thingOf,
  type Vsphere,
} from '../../clouds/vsphere.ts'
import type { FormattedDisk } from '../cloud-target.ts'
import type { PhaseScene } from '../os-builder.ts'
import { askUntil } from './_poll.ts'
import { NETWORK } from './_vsphere-descriptor.ts'
import { keepingAlive, upload, type VsphereProvider } from './_vsphere-upload.ts'

/** Where a machine goes. */
interface Place {
  readonly pool: ManagedThing
  readonly datastore: ManagedThing
  readonly folder: ManagedThing
  readonly network: ManagedThing
}

export interface ImportedMachine {
  readonly name: string
  readonly descriptor: string
  readonly disk: FormattedDisk
  /** Told as soon as vSphere has made the machine, before anything is sent. */
  readonly onMade: (machine: ManagedThing) => Promise<void>
}

/** Imports it; what fails ends the lease, and vSphere removes what it has of the machine. */
export async function importMachine(
  connection: { readonly http: CloudHttp; readonly vsphere: Vsphere },
  provider: VsphereProvider,
  machine: ImportedMachine,
  scene: PhaseScene,
): Promise<ManagedThing> {
  const { http, vsphere } = connection
  const { signal } = scene
  const place = await findPlace(vsphere, provider, signal)
  const spec = await createSpec(vsphere, place, machine, signal)
  const fields = `<spec xsi:type="${escapeXml(typeOf(spec))}">${innerXml(spec)}</spec>${reference('folder', place.folder)}`
  const answer = await vsphere.call('ImportVApp', place.pool, fields, signal)
  const lease = thingOf(need(childOf(answer, 'returnval'), 'a lease'))
  try {
    const info = await awaitLease(vsphere, provider, lease, signal)
    const made = thingOf(need(childOf(info, 'entity'), 'a machine'))
    await machine.onMade(made)
    const device = childrenOf(info).find(
      (one) => one.localName === 'deviceUrl' && textOf(childOf(one, 'disk')) === 'true',
    )
    // A host that vCenter does not name is vCenter itself.
    const url = textOf(childOf(need(device, 'a disk'), 'url'))
    const { host } = new URL(provider.options.url)
    let percent = 0
    const tell = (fraction: number) => {
      percent = Math.floor(fraction * 100)
      scene.tell(fraction)
    }
    const keep = async () =>
      await vsphere.call('HttpNfcLeaseProgress', lease, field('percent', `${percent}`), signal)
    const sending = {
      method: 'POST',
      url: url.replace(/^(https?:\/\/)\*/, `$1${host}`),
      mediaType: 'application/x-vnd.vmware-streamVmdk',
      content: machine.disk,
    } as const
    await keepingAlive(keep, async () => await upload(http, sending, { signal, tell }))
    await vsphere.call('HttpNfcLeaseComplete', lease, '', signal)
    return made
  } catch (error) {
    // A new signal: this has to be done when the old one has ended the work.
    const ending = AbortSignal.timeout(10_000)
    await vsphere.call('HttpNfcLeaseAbort', lease, '', ending).catch(() => {})
    throw error
  }
}

async function findPlace(
  vsphere: Vsphere,
  { name, options }: VsphereProvider,
  signal: AbortSignal,
): Promise<Place> {
  const { datacenter, compute_resource, datastore, network = 'VM Network' } = options
  if (datacenter === undefined || compute_resource === undefined || datastore === undefined)
    throw new Failure(
      'CONFIG_INVALID',
      `${name}: wanted datacenter, compute_resource and datastore`,
    )
  const find = async (path: string) => {
    const found = await vsphere.find(`${datacenter}/${path}`, signal)
    if (found === undefined)
      throw new Failure('CLOUD_NOT_FOUND', `vSphere has no ${datacenter}/${path}`)
    return found
  }
  return {
    pool: await find(`host/${compute_resource}/Resources`),
    datastore: await find(`datastore/${datastore}`),
    folder: await find(options.folder === undefined ? 'vm' : `vm/${options.folder}`),
    network: await find(`network/${network}`),
  }
}

async function createSpec(
  vsphere: Vsphere,
  { pool, datastore, network }: Place,
  { name, descriptor }: ImportedMachine,
  signal: AbortSignal,
): Promise<Element> {
  const mapping = `<networkMapping>${field('name', NETWORK)}${reference('network', network)}</networkMapping>`
  const wanted = `<cisp>${field('locale', '')}${field('deploymentOption', '')}${field('entityName', name)}${mapping}${field('diskProvisioning', 'thin')}</cisp>`
  const fields = `${field('ovfDescriptor', descriptor)}${reference('resourcePool', pool)}${reference('datastore', datastore)}${wanted}`
  const answer = await vsphere.call(
    'CreateImportSpec',
    vsphere.manager('ovfManager'),
    fields,
    signal,
  )
  const result = need(childOf(answer, 'returnval'), 'an import')
  const error = childOf(result, 'error')
  if (error !== undefined)
    throw new Failure(
      'CLOUD_FAILED',
      `vSphere does not import this: ${textOf(childOf(error, 'localizedMessage')).slice(0, 300)}`,
    )
  return need(childOf(result, 'importSpec'), 'an import')
}

async function awaitLease(
  vsphere: Vsphere,
  { options: { poll_seconds = 3 } }: VsphereProvider,
  lease: ManagedThing,
  signal: AbortSignal,
): Promise<Element> {
  return await askUntil(poll_seconds, signal, async () => {
    const found = await vsphere.properties(lease, ['state', 'info', 'error'], signal)
    const state = textOf(found.get('state'))
    if (state === 'ready') return need(found.get('info'), 'a lease')
    if (state === 'initializing') return undefined
    const reason = textOf(childOf(found.get('error'), 'localizedMessage')).slice(0, 300)
    throw new Failure('CLOUD_FAILED', `vSphere: the lease is ${state}: ${reason}`)
  })
}

/** Removes a machine. That it is gone is success. */
export async function removeMachine(
  vsphere: Vsphere,
  provider: VsphereProvider,
  machine: ManagedThing,
  signal: AbortSignal,
): Promise<void> {
  const { poll_seconds = 3 } = provider.options
  try {
    const answer = await vsphere.call('Destroy_Task', machine, '', signal)
    const task = thingOf(need(childOf(answer, 'returnval'), 'a task'))
    await askUntil(poll_seconds, signal, async () => {
      const info = (await vsphere.properties(task, ['info'], signal)).get('info')
      const state = textOf(childOf(info, 'state'))
      if (state === 'error') {
        const reason = textOf(childOf(childOf(info, 'error'), 'localizedMessage'))
        throw new Failure(
          'CLOUD_FAILED',
          `vSphere: ${machine.id} was not removed: ${reason.slice(0, 300)}`,
        )
      }
      return state === 'success' ? true : undefined
    })
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'CLOUD_NOT_FOUND') throw error
  }
}

function typeOf(element: Element): string {
  return element.getAttributeNS('http://www.w3.org/2001/XMLSchema-instance', 'type') ?? ''
}

function need(element: Element | undefined, what: string): Element {
  if (element === undefined) throw new Failure('CLOUD_FAILED', `vSphere did not tell of ${what}`)
  return element
}
