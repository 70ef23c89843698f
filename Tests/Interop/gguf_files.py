"""Reading GGUF files with the gguf package."""
import gguf
import numpy


def metadata(path):
    """All key-value pairs: {key: (value types, value)}. Counts and the version of the file itself are left out."""
    reader = gguf.GGUFReader(path)
    return {
        key: ([value_type.name for value_type in field.types], field.contents())
        for key, field in reader.fields.items() if not key.startswith("GGUF.")
    }


def tensors(path):
    """All tensors in file order: {name: (type, shape, bytes)}."""
    reader = gguf.GGUFReader(path)
    return {
        tensor.name: (tensor.tensor_type, tuple(int(n) for n in tensor.shape), numpy.asarray(tensor.data))
        for tensor in reader.tensors
    }


def compare_tensors(own, reference):
    """Sentences about tensors that are missing, superfluous, or differ in type, shape or bytes."""
    own, reference = tensors(own), tensors(reference)
    found = [f"no tensor {name}" for name in reference if name not in own]
    found += [f"tensor {name} is not in the reference" for name in own if name not in reference]
    for name in own.keys() & reference.keys():
        (type_a, shape_a, data_a), (type_b, shape_b, data_b) = own[name], reference[name]
        if (type_a, shape_a) != (type_b, shape_b):
            found.append(f"{name} is {type_a.name} {shape_a} instead of {type_b.name} {shape_b}")
        elif data_a.tobytes() != data_b.tobytes():
            differing = int((data_a.view(numpy.uint8) != data_b.view(numpy.uint8)).sum())
            found.append(f"{name} ({type_a.name}): {differing} of {data_a.nbytes} bytes differ")
    return sorted(found)
