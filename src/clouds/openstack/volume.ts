/** The volume service (Cinder, v3), where a cloud has one. */

export interface Volume {
  readonly id: string
  readonly name: string
  /** `creating`, `available`, `in-use`, `error`, `uploading`, … */
  readonly status: string
  readonly sizeGiB: number
  readonly metadata: Readonly<Record<string, string>>
}

export interface NewVolume {
  readonly name: string
  readonly sizeGiB: number
  /** Filled with this image; left out: empty. */
  readonly imageId?: string
  readonly availabilityZone?: string
  readonly metadata: Readonly<Record<string, string>>
}

export interface VolumeService {
  /** Makes it, or finds the one that a lost answer told of, by its name and metadata. */
  create(volume: NewVolume): Promise<Volume>
  get(id: string): Promise<Volume>
  list(name?: string): Promise<readonly Volume[]>
  /** Has an image made of it; the image's id. It is done when the image is active. */
  uploadToImage(id: string, imageName: string, diskFormat: string): Promise<string>
  /** False: it was gone already. */
  delete(id: string): Promise<boolean>
}
