/** Every built-in part of the image factory, in the order in which docs list them, and builders are asked. */
import { bootstrapBuilder } from '../factory/builders/bootstrap.ts'
import { installerBuilder } from '../factory/builders/installer.ts'
import { mockBuilder } from '../factory/builders/mock.ts'
import { makeNovaBuilder } from '../factory/builders/nova.ts'
import { remoteBuilder } from '../factory/builders/remote.ts'
import type { CloudTarget } from '../factory/cloud-target.ts'
import type { OsBuilder } from '../factory/os-builder.ts'
import { azureTarget } from '../factory/targets/azure.ts'
import { containerTarget } from '../factory/targets/container.ts'
import { ec2Target } from '../factory/targets/ec2.ts'
import { fileTarget } from '../factory/targets/file.ts'
import { gceTarget } from '../factory/targets/gce.ts'
import { hypervTarget } from '../factory/targets/hyperv.ts'
import { libvirtTarget } from '../factory/targets/libvirt.ts'
import { mockTarget } from '../factory/targets/mock.ts'
import { ovirtTarget } from '../factory/targets/ovirt.ts'
import { vsphereTarget } from '../factory/targets/vsphere.ts'
import { makeOpenstackTarget } from '../factory/targets/openstack.ts'
import { ovaTarget } from '../factory/targets/ova.ts'
import type { OpenUplink } from '../remotes/uplink.ts'
import type { FactoryConfig } from './factory-config.ts'
import { openCloudByName } from './os-clouds.ts'

/** What builds know of the host that they run on. */
export interface FactoryHost {
  /** For what is worth keeping between builds: media, packages. */
  readonly cacheDir: string
  /** Of the environment: `http_proxy`, `no_proxy` and so on; and `OS_…`, as OpenStack's clients read them. */
  readonly proxies: Readonly<Record<string, string>>
  readonly openstack: Readonly<Record<string, string>>
  /** How guests get to the network. */
  readonly uplink: OpenUplink
  /** Of Ingot. */
  readonly version: string
}

export function osBuilders(
  { proxies, version, openstack }: FactoryHost,
  { remotes }: Pick<FactoryConfig, 'remotes'>,
): OsBuilder[] {
  return [
    bootstrapBuilder({ proxies, version }),
    installerBuilder,
    makeNovaBuilder({
      openCloud: async (name, context) => await openCloudByName(name, openstack, context),
    }),
    remoteBuilder(remotes),
    mockBuilder,
  ]
}

export function cloudTargets({ openstack }: FactoryHost): CloudTarget[] {
  return [
    makeOpenstackTarget({
      openCloud: async (name, context) => await openCloudByName(name, openstack, context),
    }),
    ec2Target,
    gceTarget,
    azureTarget,
    vsphereTarget,
    ovirtTarget,
    hypervTarget,
    ovaTarget,
    containerTarget,
    libvirtTarget,
    fileTarget,
    mockTarget,
  ]
}
