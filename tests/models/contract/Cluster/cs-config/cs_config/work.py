"""What the processes of the pool do."""


def square(number):
    """Square."""
    return number * number
