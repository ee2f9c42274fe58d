/** Every built-in part of the image factory, in the order in which docs list them, and builders are asked. */
import { bootstrapBuilder } from '../factory/builders/bootstrap.ts'
import { installerBuilder } from '../factory/builders/installer.ts'
import { mockBuilder } from '../factory/builders/mock.ts'
import { makeNovaBuilder } from '../factory/builders/nova.ts'
import type { CloudTarget } from '../factory/cloud-target.ts'
import type { OsBuilder } from '../factory/os-builder.ts'
import { azureTarget } from '../factory/targets/azure.ts'
import { containerTarget } from '../factory/targets/container.ts'
import { ec2Target } from '../factory/targets/ec2.ts'
import { fileTarget } from '../factory/targets/file.ts'
import { hypervTarget } from '../factory/targets/hyperv.ts'
import { libvirtTarget } from '../factory/targets/libvirt.ts'
import { mockTarget } from '../factory/targets/mock.ts'
import { makeOpenstackTarget } from '../factory/targets/openstack.ts'
import { ovaTarget } from '../factory/targets/ova.ts'
import { openCloudByName } from './os-clouds.ts'

/** What builds know of the host that they run on. */
export interface FactoryHost {
  /** For what is worth keeping between builds: media, packages. */
  readonly cacheDir: string
  /** Of the environment: `http_proxy`, `no_proxy` and so on; and `OS_…`, as OpenStack's clients read them. */
  readonly proxies: Readonly<Record<string, string>>
  readonly openstack: Readonly<Record<string, string>>
  /** Of Ingot. */
  readonly version: string
}

export function osBuilders({ proxies, version, openstack }: FactoryHost): OsBuilder[] {
  return [
    bootstrapBuilder({ proxies, version }),
    installerBuilder,
    makeNovaBuilder({
      openCloud: async (name, context) => await openCloudByName(name, openstack, context),
    }),
    mockBuilder,
  ]
}

export function cloudTargets({ openstack }: FactoryHost): CloudTarget[] {
  return [
    makeOpenstackTarget({
      openCloud: async (name, context) => await openCloudByName(name, openstack, context),
    }),
    ec2Target,
    azureTarget,
    hypervTarget,
    ovaTarget,
    containerTarget,
    libvirtTarget,
    fileTarget,
    mockTarget,
  ]
}
