import { makeIso9660 } from './iso9660.ts'

/** What a guest with cloud-init is told on its first boot. */
export interface Seed {
  /** A new one makes cloud-init treat the boot as the first. */
  instanceId: string
  hostname?: string | undefined
  /** A cloud-config as an object, or a whole user-data file (`#!/bin/sh …`). */
  userData?: Readonly<Record<string, unknown>> | string | undefined
  /** A cloud-init network configuration; the image's own fallback (DHCP) when left out. */
  networkConfig?: Readonly<Record<string, unknown>> | undefined
}

/**
 * A disk from which cloud-init's NoCloud source reads its seed: an ISO 9660 image labelled
 * `cidata`. The same seed gives the same bytes.
 * Source: cloud-init's documentation of NoCloud. JSON is YAML, so no YAML writer is needed.
 */
export function makeSeed(seed: Seed): Uint8Array {
  const metaData = { 'instance-id': seed.instanceId, 'local-hostname': seed.hostname }
  const { userData = {}, networkConfig } = seed
  const files = {
    'meta-data': asJson(metaData),
    'user-data': typeof userData === 'string' ? userData : `#cloud-config\n${asJson(userData)}`,
    ...(networkConfig === undefined ? {} : { 'network-config': asJson(networkConfig) }),
  }
  return makeIso9660(
    'cidata',
    Object.entries(files).map(([name, content]) => ({ name, content: Buffer.from(content) })),
  )
}

function asJson(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`
}
