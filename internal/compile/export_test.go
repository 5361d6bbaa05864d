package compile

// SetStep sets what is called before each change of the disk.
func SetStep(to func() error) { step = to }
