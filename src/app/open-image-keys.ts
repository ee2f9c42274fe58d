/**
 * The keys that images speak of: certificates of those who signed them, found in a directory of this host or in the key
 * manager of the cloud, as whoever asks; and keys of encrypted volumes, which go with their images.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Context } from '../base/context.ts'
import { asFileFailure, isFailure, messageOf, systemCode } from '../base/failure.ts'
import type { Keystone } from '../clouds/cloud.ts'
import { openKeyManager } from '../clouds/openstack/key-manager.ts'
import type { Image } from '../images/image.ts'
import type { CertificateAsker, FindCertificate } from '../images/signature.ts'

export interface ImageKeys {
  readonly findCertificate: FindCertificate
  /**
   * Deletes the key of an encrypted volume's image, where the image says that it goes with it. What cannot be deleted
   * is logged: the image goes all the same. Source: Glance, `cinder_encryption_key_deletion_policy`.
   */
  deleteEncryptionKey(
    image: Pick<Image, 'id' | 'properties'>,
    asker: CertificateAsker,
  ): Promise<void>
}

export interface ImageKeysParts {
  /** Holds `UUID.pem`, `UUID.crt` or `UUID.der`; asked first. */
  readonly directory?: string | undefined
  /** Keystone as the owner of a token; left out where there is none. */
  readonly openKeystone?: ((token: string, projectId: string | null) => Keystone) | undefined
}

const ENDINGS = ['pem', 'crt', 'der']

export function openImageKeys(
  { directory, openKeystone }: ImageKeysParts,
  context: Context,
): ImageKeys {
  return {
    findCertificate: async (id, asker) =>
      (directory && (await readKept(directory, id))) ||
      (await withManager(asker, async (manager) => await manager.readSecret(id))),
    deleteEncryptionKey: async ({ id: imageId, properties }, asker) => {
      const { cinder_encryption_key_id: id, cinder_encryption_key_deletion_policy: policy } =
        properties
      if (id === undefined || policy !== 'on_image_deletion') return
      try {
        await withManager(asker, async (manager) => await manager.deleteSecret(id))
      } catch (error) {
        context.log.warn('image.key-left', { imageId, keyId: id, error: messageOf(error) })
      }
    },
  }

  /** Undefined where the cloud has no key manager. */
  async function withManager<T>(
    { token, projectId }: CertificateAsker,
    work: (manager: ReturnType<typeof openKeyManager>) => Promise<T>,
  ): Promise<T | undefined> {
    if (openKeystone === undefined || token === undefined) return undefined
    await using keystone = openKeystone(token, projectId)
    await using manager = openKeyManager(keystone, context)
    try {
      return await work(manager)
    } catch (error) {
      if (isFailure(error, 'ENDPOINT_UNKNOWN')) return undefined
      throw error
    }
  }
}

/** `id` is a UUID, so it leads nowhere else. Fails with FILE_UNREADABLE. */
async function readKept(directory: string, id: string): Promise<Uint8Array | undefined> {
  for (const ending of ENDINGS) {
    const path = join(directory, `${id.toLowerCase()}.${ending}`)
    try {
      return await readFile(path)
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw asFileFailure(error, path)
    }
  }
  return undefined
}
